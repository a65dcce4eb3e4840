"""The heads that can be fitted on cached features."""

from __future__ import annotations

from collections.abc import Callable

from vidkd import lazy

HEADS = {
    "linear": "vidkd.methods.probes.linear:fit",
    "attentive": "vidkd.methods.probes.train:fit",
}


def module_of(head: str) -> str:
    """The module that fits this head, which no import statement mentions."""
    return lazy.module_of(HEADS[head])


def find_fit(head: str) -> Callable[..., None]:
    """The function that fits this head."""
    fit: Callable[..., None] = lazy.load(HEADS[head])
    return fit
