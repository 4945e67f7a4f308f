"""OpenVINO's package without its telemetry, and with a bound for the memory of oneDNN.

Without this module, `import openvino` (2026.4) sends an event to its makers, over the internet, and leaves a folder
`intel` in the user's home. It does neither where it cannot find the package `openvino_telemetry`.
"""

from __future__ import annotations

import os
import sys

CACHE_VARIABLE, CACHE_CAPACITY = "ONEDNN_PRIMITIVE_CACHE_CAPACITY", 64
"""How many primitives oneDNN, with which OpenVINO computes, keeps in a process: by default 1,024, which it makes anew
for every shape (rows, pieces). oneDNN reads the variable once, so it must be set before oneDNN is loaded. A value that
the user has set stays. `python -m benchmarks.shapes` measures the memory."""

os.environ.setdefault(CACHE_VARIABLE, str(CACHE_CAPACITY))
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # so that importing it fails

import openvino as openvino  # noqa: E402
