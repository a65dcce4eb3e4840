"""Import torchvision beside a torch build that it was not compiled for.

A CPU-only torch with PyPI's torchvision lacks torchvision's compiled operators, and importing torchvision
then fails with `operator torchvision::nms does not exist`. Nothing here uses those operators; declaring
their schemas is enough. Import this module before torchvision.
"""

from __future__ import annotations

import torch

_LIBRARY = torch.library.Library("torchvision", "FRAGMENT")
for _name in ("nms", "qnms"):
    if not hasattr(torch.ops.torchvision, _name):
        _LIBRARY.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
