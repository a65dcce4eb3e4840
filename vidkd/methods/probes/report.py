"""Show heads on cached features on the report page."""

from __future__ import annotations

from vidkd.evaluate.specs import INTERVAL, PARAMS, TOP1, Column, Section, Spec

SECTION = Section(
    "probes",
    "Frozen networks",
    {
        "probes": Spec(
            "Heads on the features of frozen networks",
            "Top-1 in percent. Chance is the share of the largest class. Pairs is how often a video of two "
            "classes that differ in the order of frames only gets the higher score for its own: 50 without "
            "order.",
            (
                Column("backbone", "network"),
                Column("head", "head"),
                Column("label", "label"),
                TOP1,
                INTERVAL,
                Column("chance", "chance"),
                Column("pairs", "pairs", best="high"),
                PARAMS,
            ),
            group="label",
        )
    },
    (),
)
