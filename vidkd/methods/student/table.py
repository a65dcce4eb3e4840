"""What students gain from their teacher: figures of each run, and the tables of students and of teachers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from vidkd.artefacts import read_json
from vidkd.evaluate.paired import comparisons, differences, read_runs
from vidkd.methods.evaluate import Evaluated
from vidkd.methods.inputs import Inputs
from vidkd.methods.student.settings import TEACHER
from vidkd.methods.table_rows import head_rows, read_costs, student_row, teacher_row

_OVER_SEEDS = ("top5", "mean_class", "f1", "agreement", "cosine")
"""Further figures, whose mean and deviation over seeds are columns."""


def figures(run: Evaluated) -> dict[str, Any]:
    """Measure how like its teacher a student is; agreement is in percent."""
    table, config = run.table, run.config
    about = ("label", "teacher_view", "train_clips", "labelled_clips")
    return {
        **{name: config[name] for name in about},
        "agreement": 100 * (table["pred"] == table["teacher_pred"]).mean(),
        "cosine": table["cosine"].mean() if "cosine" in table else None,
        "frames": config["settings"]["frames"],
    }


def tabulate(inputs: Inputs, settings: Mapping[str, Any]) -> pd.DataFrame:
    """Make a row for each variant, in their order, and one for the teacher; accuracies are in percent.

    Args:
        inputs: `metrics` of each run, beside its `predictions.csv`, and of the `teacher`; `latency`.
        settings: the `baseline`, which the other variants are compared with.

    Raises:
        UserError: see `read_runs` and `differences`.
    """
    baseline = settings["baseline"]
    groups = read_runs(inputs.results("metrics"), "run", baseline)
    compared = comparisons(differences(groups, baseline))
    costs = read_costs(inputs.result("latency"))
    rows = [
        student_row(
            name, seeds, costs[name], compared.get(name, {}),
            about={"teacher_view": seeds.iloc[0]["teacher_view"]}, over_seeds=_OVER_SEEDS,
        )
        for name, seeds in groups.items()
    ]  # fmt: skip
    teacher = read_json(inputs.result("teacher"))
    last = teacher_row(TEACHER, teacher, costs[TEACHER], ("top5", "mean_class", "f1"))
    return pd.DataFrame([*rows, last | {"teacher_view": "itself", "agreement": 100.0, "cosine": 1.0}])


def tabulate_teachers(inputs: Inputs, settings: Mapping[str, Any]) -> pd.DataFrame:
    """Make a row for each label and head of the teacher."""
    rows = [row for metrics in inputs.results("metrics") for row in head_rows(metrics)]
    return pd.DataFrame(rows).rename(columns={"network": "teacher"})
