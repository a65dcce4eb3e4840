"""Entries of registries, `"module:function"`: imported when they are used, not when they are listed."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def module_of(entry: str) -> str:
    """Name the module of an entry, which no import statement mentions: to digest its code."""
    return entry.partition(":")[0]


def load(entry: str) -> Any:
    """Import what an entry names."""
    module, _, name = entry.partition(":")
    return getattr(import_module(module), name)
