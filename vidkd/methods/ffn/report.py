"""Show FFN and its baselines on the report page."""

from __future__ import annotations

from typing import Any

import pandas as pd

from vidkd.evaluate.specs import PARAMS, VARIANT, Column, Section, Spec


def _by_count(any_frame: pd.DataFrame) -> pd.DataFrame:
    """A row for each variant, a column for each frame count and one for its deviation over seeds."""
    rows = []
    for variant, counts in any_frame.groupby("variant", sort=False):
        row: dict[str, Any] = {"variant": variant, "seeds": counts["seeds"].iloc[0]}
        for count, mean, spread in zip(counts["frames"], counts["acc"], counts["acc_std"], strict=True):
            row |= {f"acc_{count}f": mean, f"acc_{count}f_std": spread}
        rows.append(row | {"clips": counts["clips"].iloc[0]})
    return pd.DataFrame(rows)


SECTION = Section(
    "ffn",
    "Frame Flexible Network",
    {
        "tfd": Spec(
            "Frame Flexible Network: temporal frequency deviation",
            "Top-1 in percent by frames seen at test time. The gap is accuracy at the most frames minus "
            "accuracy at the fewest; the deviation is how far a variant falls below separate training (row "
            "st) at the same count: below zero it is above.",
            (
                VARIANT,
                Column("seeds", "seeds"),
                Column(r"acc_(\d+)f", "{} frames", best="high"),
                Column("tfd_gap", "gap"),
                Column(r"dev_(\d+)f", "deviation, {}", best="low"),
                PARAMS,
                Column(r"gflops_(\d+)f", "GFLOPs, {}"),
            ),
        )
    },
    ("tfd", "curves_ffn", "confusion_ffn", "mistakes_ffn"),
    {
        "any_frame": Spec(
            "Every frame count",
            "Top-1 in percent by frames seen at test time, mean over seeds.",
            (VARIANT, Column(r"acc_(\d+)f", "{}", best="high")),
            reshape=_by_count,
        )
    },
)
