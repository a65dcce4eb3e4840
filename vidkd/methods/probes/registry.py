"""The heads that can be fitted on cached features."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

HEADS = {
    "linear": "vidkd.methods.probes.linear:fit",
    "attentive": "vidkd.methods.probes.train:fit",
}


def module_of(head: str) -> str:
    """The module that fits this head, which no import statement mentions."""
    return HEADS[head].partition(":")[0]


def find_fit(head: str) -> Callable[..., None]:
    """The function that fits this head."""
    module, function = HEADS[head].split(":")
    fit: Callable[..., None] = getattr(import_module(module), function)
    return fit
