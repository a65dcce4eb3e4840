"""A checkpoint that would run code."""

from __future__ import annotations

import os
from pathlib import Path


class Touch:
    """Pickled, this creates a folder when it is loaded without care."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)
