"""Tabulate logit distillation, and show it on the report page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from vidkd.artefacts import read_json
from vidkd.evaluate.specs import GFLOPS, PARAMS, TOP1, VARIANT, Column, Section, Spec
from vidkd.methods.inputs import Inputs


def tabulate(inputs: Inputs, settings: Mapping[str, Any]) -> pd.DataFrame:
    """Make a row for each variant, in their order, and one for the teacher; accuracies are in percent."""
    files = [*inputs.results("metrics"), inputs.result("teacher")]
    runs = pd.DataFrame([read_json(file) for file in files])
    seeds = runs.groupby(runs["run"].fillna("(teacher)").rename("variant"), sort=False)
    found = {"seeds": seeds.size(), "top1": seeds["top1"].mean(), "top1_std": seeds["top1"].std()}
    found |= {name: seeds[name].first() for name in ("chance", "params", "gflops", "n_clips")}
    return pd.DataFrame(found).rename(columns={"n_clips": "clips"}).reset_index()


SECTION = Section(
    "logits",
    "Logit distillation",
    {
        "logits": Spec(
            "Logit distillation",
            "Test split, in percent. A TSM that learns from labels and from the softened classes of a frozen "
            "network; the last row is that network with its linear head.",
            (VARIANT, Column("seeds", "seeds"), TOP1, Column("chance", "largest class"), PARAMS, GFLOPS),
        )
    },
    ("curves_logits", "confusion_logits", "mistakes_logits"),
)
