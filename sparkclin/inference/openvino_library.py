"""OpenVINO's package without its telemetry, and with a bound for the memory of oneDNN.

Without this module, `import openvino` (2026.4) sends an event to its makers, over the internet, and leaves a folder
`intel` in the user's home. It does neither where it cannot find the package `openvino_telemetry`.
"""

from __future__ import annotations

import os
import sys

# oneDNN, which computes for OpenVINO, makes primitives for every new shape (rows, pieces), and by default keeps 1,024
# of them in a process. It reads the variable once. `python -m benchmarks.shapes` measures the memory.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # so that importing it fails

import openvino as openvino  # noqa: E402
