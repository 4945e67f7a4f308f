"""OpenVINO's package without its telemetry.

Without this module, `import openvino` (2026.4) sends an event to its makers, over the internet, and leaves a folder
`intel` in the user's home. It does neither where it cannot find the package `openvino_telemetry`.
"""

from __future__ import annotations

import sys

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # so that importing it fails

import openvino as openvino  # noqa: E402
