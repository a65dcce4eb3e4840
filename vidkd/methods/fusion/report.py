"""Show fusion heads on the report page."""

from __future__ import annotations

from vidkd.evaluate.specs import (
    GAIN_INTERVAL,
    INTERVAL,
    P_HOLM,
    PARAMS,
    TOP1,
    VARIANT,
    Alarm,
    Column,
    Section,
    Spec,
)

SECTION = Section(
    "fusion",
    "Fusion",
    {
        "fusion": Spec(
            "Fusion: what teachers add to the student",
            "Top-1 in percent. The gain over the baseline is in points on the same clips and seeds, by a "
            "permutation test over clips. Gap closed is how much a variant gains of what the one with the "
            "most real teachers gains, in percent; empty where that is not told from nothing. A gate says "
            "how far a teacher's gate is open, 0 to 1, on validation.",
            (
                VARIANT,
                Column("inputs", "inputs"),
                TOP1,
                INTERVAL,
                Column("delta_vs_student", "gain"),
                GAIN_INTERVAL,
                P_HOLM,
                Column("gap_closed", "gap closed"),
                Column("mean_class", "mean class", best="high"),
                PARAMS,
                Column("gate_(.+)", "gate {}"),
            ),
            gain="delta_vs_student",
        ),
        "modes": Spec(
            "Video mode and cached mode",
            "Logits of the exported head from frames and from cached features of the same test videos.",
            alarm=Alarm(
                "agree",
                "Video mode and cached mode of <b>{variant}</b>, seed {seed}, do not agree: see "
                '<a href="#fusion">Fusion</a>.',
            ),
        ),
    },
    ("fusion", "curves_fusion", "confusion_fusion", "mistakes_fusion"),
)
