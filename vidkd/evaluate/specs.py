"""Define what a table and a section of the report are, and the columns that several tables have."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd


@dataclass(frozen=True)
class Column:
    """A column that is shown.

    Attributes:
        key: of the csv, or a pattern of several; where `{key}_std` is beside it, that follows after ±.
        title: its heading; `{}` stands for what the pattern's group matches.
        best: which of its values is bold, if any.
        to: of the csv: the other end of the interval that starts at `key`.
    """

    key: str
    title: str
    best: Literal["high", "low", ""] = ""
    to: str = ""


VARIANT = Column("variant", "variant")
METHOD = Column("method", "method")
TOP1 = Column("top1", "top-1", best="high")
INTERVAL = Column("low", "95% interval", to="high")
GAIN = Column("delta", "gain")
GAIN_INTERVAL = Column("delta_low", "95% of gain", to="delta_high")
P_HOLM = Column("p_holm", "p, Holm")
PARAMS = Column("params", "parameters")
GFLOPS = Column("gflops", "GFLOPs")
TIMES = (Column(r"ms_(\d+)", "ms, threads: {}"),)
COST = (PARAMS, GFLOPS, *TIMES)
COMPARED = (TOP1, INTERVAL, GAIN, GAIN_INTERVAL, P_HOLM)
CLASS_FIGURES = (
    Column("mean_class", "mean class", best="high"),
    Column("f1", "F1", best="high"),
    Column("ap", "AP", best="high"),
)


@dataclass(frozen=True)
class Alarm:
    """Rows that must be known before any number is read.

    Attributes:
        column: that is false in such a row.
        sentence: HTML that says so at the top of the page; `{label}` stands for the value of a column.
        only: a column that must be true in it as well, if any.
    """

    column: str
    sentence: str
    only: str = ""


@dataclass(frozen=True)
class Spec:
    """What a table of the report is.

    Attributes:
        title: its heading.
        about: what its columns mean.
        columns: that are shown of the csv; none: all.
        group: column within whose values the best is looked for; None: in the whole table.
        only: a column, and the value that it has in the rows that are shown; the csv has all.
        gain: column of what a row gains over the baseline, whose own is empty; none: nothing is compared.
        alarm: rows that are told at the top of the page.
        reshape: makes the csv of the report of the method's table.
    """

    title: str
    about: str
    columns: Sequence[Column] = field(default=())
    group: str | None = None
    only: tuple[str, str] | None = None
    gain: str = ""
    alarm: Alarm | None = None
    reshape: Callable[[pd.DataFrame], pd.DataFrame] = lambda table: table


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
    tables: Mapping[str, Spec] = field(default_factory=dict)
    figures: Sequence[str] = ()
    folded: Mapping[str, Spec] = field(default_factory=dict)
