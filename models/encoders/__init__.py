"""The one door to the towers: which device, and the runners on torch, CUDA and OpenVINO."""

from __future__ import annotations

import sys
from typing import Any

# `import openvino` tells its makers, over the network, that it was imported, unless this package is missing;
# what is None here counts as missing. Done before any module of this folder can import it.
_modules: dict[str, Any] = sys.modules
_modules.setdefault("openvino_telemetry", None)
