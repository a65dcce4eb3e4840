"""The heads that can be fitted on cached features."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from vidkd import lazy

if TYPE_CHECKING:  # the Snakefile reads this
    from vidkd.methods.probes.rows import ProbeRows
    from vidkd.methods.train import Fitted, Job

HEADS = {
    "linear": "vidkd.methods.probes.linear:fit",
    "attentive": "vidkd.methods.probes.train:fit",
}


def module_of(head: str) -> str:
    """The module that fits this head, which no import statement mentions."""
    return lazy.module_of(HEADS[head])


def find_fit(head: str) -> Callable[[Job, ProbeRows], Fitted]:
    """The function that fits this head."""
    fit: Callable[[Job, ProbeRows], Fitted] = lazy.load(HEADS[head])
    return fit
