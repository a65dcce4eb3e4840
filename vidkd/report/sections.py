"""The sections of the page: which tables and figures each has, and what a figure shows."""

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

KINDS = {
    "curves": "Loss terms as they are added up, and validation figures, against the share of training; mean "
    "over seeds.",
    "confusion": "Of the test videos of each class (row), how many percent get which class (column); first "
    "seed.",
    "mistakes": "Test videos that get a wrong class, the most confident first: eight frames of each, its "
    "class, what is said of it, and how surely.",
}
"""What the figures of several methods show, by the word that their names start with."""

CAPTIONS = {
    "tradeoff": "Top-1 accuracy against the time of one clip on one thread, and against parameters.",
    "tfd": "Top-1 accuracy against the number of frames seen at test time; the band is one standard "
    "deviation over seeds.",
    "converters": "How near converted features are to the teacher's, on the test split; black: the teacher's "
    "mean feature.",
    "similarity": "How alike the mean features of test videos are (unbiased linear CKA): 1 for a rotated "
    "copy, 0 for unrelated ones.",
    "fusion": "Gain of each variant over the baseline, with its 95% interval over videos; filled: told from "
    "none. At the right: top-1 accuracy.",
    "attention_student": "Frames of the first test video of up to six classes, and the weight that pooling "
    "gives to each.",
    "per_class": "Recall of each class in percent.",
    "clips": "Test videos of each class, eight evenly spaced frames of each.",
    "dag": "The rules of this run, and which needs what another has made.",
}
"""What any other figure shows, by its name."""


def caption(figure: str) -> str:
    """What a figure shows."""
    return CAPTIONS.get(figure) or KINDS[figure.partition("_")[0]]
