"""The sections of the page: which tables and figures each has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """A section of the page; it is there when one of its tables or figures is.

    Attributes:
        name: in links.
        title: its heading.
        tables: of the report, by name.
        figures: of the report, by name, below the tables.
        folded: tables below the figures that are closed until somebody opens them.
    """

    name: str
    title: str
    tables: Sequence[str] = ()
    figures: Sequence[str] = ()
    folded: Sequence[str] = ()


SECTIONS = (
    Section("summary", "Summary", ("summary", "efficiency"), ("tradeoff",)),
    Section(
        "ffn",
        "Frame Flexible Network",
        ("tfd",),
        ("tfd", "curves_ffn", "confusion_ffn", "mistakes_ffn"),
        ("any_frame",),
    ),
    Section("probes", "Frozen networks", ("probes",)),
    Section("converters", "Converters", ("converters",), ("converters", "similarity", "curves_converters")),
    Section(
        "fusion",
        "Fusion",
        ("fusion", "modes"),
        ("fusion", "curves_fusion", "confusion_fusion", "mistakes_fusion"),
    ),
    Section(
        "student",
        "Students of a CLIP teacher",
        ("teachers", "student"),
        ("curves_student", "confusion_student", "attention_student", "mistakes_student"),
    ),
    Section(
        "trimodel",
        "Students of a teacher and an assistant",
        ("networks", "trimodel"),
        ("curves_trimodel", "confusion_trimodel", "mistakes_trimodel"),
    ),
    Section("classes", "Each class", (), ("per_class",), ("per_class",)),
    Section("published", "Beside published results", ("references",)),
    Section("data", "Data", (), ("clips",), ("excluded",)),
    Section("provenance", "Provenance", ("wall_time",), ("dag",), ("provenance", "settings", "gates")),
)
