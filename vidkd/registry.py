"""The methods: a line for each, which is all that the rest of the project knows of them.

An entry is a `vidkd.methods.base.Method`: it names the section of the configuration, the runs, and the
modules that train, predict and tabulate. The order is that of the report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vidkd import lazy

if TYPE_CHECKING:
    from vidkd.methods.base import Method

METHODS = {
    "ffn": "vidkd.methods.ffn.plan:FFN",
    "probes": "vidkd.methods.probes.plan:Probes",
    "converters": "vidkd.methods.converters.plan:Converters",
    "fusion": "vidkd.methods.fusion.plan:Fusion",
    "student": "vidkd.methods.student.plan:Student",
    "trimodel": "vidkd.methods.trimodel.plan:TriModel",
}


def find_method(name: str) -> type[Method]:
    """Import a method, which is made of a plan."""
    found: type[Method] = lazy.load(METHODS[name])
    return found


def report_modules() -> list[str]:
    """List the modules that show each method in the report, which no import statement mentions."""
    return [lazy.module_of(find_method(name).REPORT) for name in METHODS]
