"""What a setting names that says where a training starts."""

from __future__ import annotations

import re
from pathlib import Path

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".tar")
"""How the name of a weights file ends."""


def is_weights_file(source: str) -> bool:
    """Whether `source` is a file; else it names weights of torchvision."""
    return Path(source).suffix in SUFFIXES


def torchvision_network(source: str) -> str | None:
    """The network whose weights of torchvision `source` names: resnet50 of ResNet50_Weights.DEFAULT."""
    match = None if is_weights_file(source) else re.fullmatch(r"(\w+)_Weights\.\w+", source)
    return match[1].lower() if match else None
