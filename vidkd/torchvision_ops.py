"""Import torchvision beside a torch build that it was not compiled for.

A CPU-only torch with PyPI's torchvision does not load torchvision's compiled operators, and importing
torchvision then fails with `operator torchvision::nms does not exist`. Nothing here uses those operators;
declaring their schemas is enough. Where they do load, declaring them as well would end the process, so that
they are loaded here first, as torchvision's own import does. Import this module before torchvision.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch

_LIBRARY = torch.library.Library("torchvision", "FRAGMENT")


def _operators_load() -> bool:
    """Whether the compiled operators fit this torch; afterwards they are loaded."""
    spec = find_spec("torchvision")
    assert spec is not None
    assert spec.origin is not None
    try:
        for file in Path(spec.origin).parent.glob("_C.*"):
            torch.ops.load_library(file)
    except OSError:
        return False
    return hasattr(torch.ops.torchvision, "nms")


if not _operators_load():
    for _name in ("nms", "qnms"):
        _LIBRARY.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
