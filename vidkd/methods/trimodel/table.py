"""What a student gains from a teacher and an assistant: figures of each run, and the tables."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.metrics import average_precision_score

from vidkd.artefacts import read_json
from vidkd.errors import UserError
from vidkd.evaluate.classes import read_predictions
from vidkd.evaluate.paired import Groups, comparisons, differences, read_runs
from vidkd.evaluate.tables import read_csv
from vidkd.methods.evaluate import Evaluated
from vidkd.methods.inputs import Inputs
from vidkd.methods.table_rows import COMPARED, head_rows, numbers, read_costs, student_row, teacher_row
from vidkd.methods.trimodel.settings import ASSISTANT, TEACHER

log = logging.getLogger(__name__)

_OVER_TEACHER = {
    "over_teacher": "delta", "over_teacher_low": "delta_low", "over_teacher_high": "delta_high",
    "over_teacher_p": "p",
}  # fmt: skip
"""Columns that compare a student of both networks with one of the teacher alone, and what they are of."""

_OVER_SEEDS = ("mean_class", "f1", "ap", "ap_anomaly", "agreement_teacher", "agreement_assistant")
"""Further figures, whose mean and deviation over seeds are columns."""

LOSSES = (
    "task_loss", "teacher_feature_loss", "assistant_feature_loss", "teacher_attention_loss",
    "assistant_attention_loss", "asymmetric_loss",
)  # fmt: skip
"""Terms, weighted as they are added up: the mean of the last epoch, and of it over seeds."""


def figures(run: Evaluated) -> dict[str, Any]:
    """What a student's run has beside the figures of every classifier, in percent.

    `agreement_teacher` and `agreement_assistant` are how often the student predicts the class that they do.

    Raises:
        UserError: no class is called as the settings say.
    """
    last = read_csv(run.inputs.result("history")).iloc[-1]
    about = ("label", TEACHER, ASSISTANT, "train_clips", "labelled_clips")
    return {
        **{name: run.config[name] for name in about},
        **anomaly_precision(run.table, run.classes, run.settings["normal"]),
        **{
            f"agreement_{role}": 100 * (run.table["pred"] == run.table[f"{role}_pred"]).mean()
            for role in (TEACHER, ASSISTANT)
        },
        **{name: last[name] for name in LOSSES if name in last},
        "frames": run.config["settings"]["frames"],
    }


def anomaly_precision(table: pd.DataFrame, classes: Sequence[str], normal: str | None) -> dict[str, Any]:
    """`ap_anomaly`: the average precision of all classes but `normal` against it, in percent.

    XD-Violence reports it of frames; here it is of videos.

    Args:
        table: predictions.
        classes: names by label id.
        normal: name of the class of what is nothing special; None: there is none, and no figure.

    Raises:
        UserError: no class is called `normal`.
    """
    if normal is None:
        return {}
    if normal not in classes:
        raise UserError(f"trimodel.normal: no class is called {normal!r}; known: {', '.join(classes)}")
    k = list(classes).index(normal)
    abnormal = table["label_id"] != k
    found = 100 * average_precision_score(abnormal, 1 - table[f"s_{k}"]) if abnormal.any() else None
    return {"ap_anomaly": found}


def tabulate(inputs: Inputs, settings: Mapping[str, Any]) -> pd.DataFrame:
    """The table: a row for each variant, in their order, and one for teacher and assistant each.

    Args:
        inputs: figures and predictions of the runs and of both heads, names of the classes, and what a clip
            costs each network.
        settings: `baseline`, the variant that the others are compared with, and `normal`.

    Raises:
        UserError: see `read_runs` and `differences`.
    """
    baseline = settings["baseline"]
    groups = read_runs(inputs.results("metrics"), "run", baseline)
    compared = comparisons(differences(groups, baseline))
    over_teacher = over_the_teacher(groups)
    costs = read_costs(inputs.result("latency"))
    rows = [
        _row(name, seeds, compared.get(name, {}) | over_teacher.get(name, {}), costs[name])
        for name, seeds in groups.items()
    ]
    rows += [_frozen_row(role, inputs, settings["normal"], costs[role]) for role in (TEACHER, ASSISTANT)]
    for row in rows:
        row["top1_per_mparams"] = row["top1"] / (row["params"] / 1e6)
        row["params_of_teacher"] = 100 * row["params"] / costs[TEACHER]["params"]
    return pd.DataFrame(rows)


def tabulate_classes(inputs: Inputs, settings: Mapping[str, Any]) -> pd.DataFrame:
    """The accuracy of each class: a column for each variant (mean over seeds), teacher and assistant."""
    groups = read_runs(inputs.results("metrics"), "run", settings["baseline"])
    found = {name: pd.DataFrame(list(seeds["per_class"])).mean() for name, seeds in groups.items()}
    found |= {role: pd.Series(_figures_of(inputs.result(role))["per_class"]) for role in (TEACHER, ASSISTANT)}
    return pd.DataFrame(found).reindex(inputs.class_names).rename_axis("class").reset_index()


def tabulate_networks(inputs: Inputs, settings: Mapping[str, Any]) -> pd.DataFrame:
    """What teacher and assistant know, a row for each: accuracies in percent, and what the gate says."""
    rows = [{"role": role} | row for role in inputs.needs.results for row in head_rows(inputs.result(role))]
    return pd.DataFrame(rows).drop(columns=["head", "used"])


def over_the_teacher(groups: Groups) -> dict[str, dict[str, float]]:
    """What each student of both networks gains over that of the teacher alone: nothing where none is.

    An assistant whose weights were not loaded is the control: where it gains, the log warns.

    Args:
        groups: the runs of each variant.

    Returns:
        _OVER_TEACHER by variant.

    Raises:
        UserError: see `differences`.
    """
    taught = {
        name: (_taught(s.iloc[0][TEACHER]), _taught(s.iloc[0][ASSISTANT])) for name, s in groups.items()
    }
    alone = next((name for name, by in taught.items() if by == ("loaded", "none")), None)
    if alone is None:
        return {}
    both = {name: groups[name] for name, by in taught.items() if "none" not in by}
    found = comparisons(differences({**both, alone: groups[alone]}, alone))
    for name, row in found.items():
        if taught[name][1] == "random" and row["delta_low"] > 0:
            log.warning(
                "%s: an assistant without its weights gains %.1f points (at least %.1f) over %s: then what "
                "others gain need not be the assistant's either",
                name, row["delta"], row["delta_low"], alone,
            )  # fmt: skip
    return {
        name: {ours: row[theirs] for ours, theirs in _OVER_TEACHER.items()} for name, row in found.items()
    }


def _row(
    name: str, seeds: pd.DataFrame, comparison: Mapping[str, Any], cost: Mapping[Hashable, Any]
) -> dict[str, Any]:
    """Make the row of one variant."""
    about = {role: _taught(seeds.iloc[0][role]) for role in (TEACHER, ASSISTANT)}
    losses = {loss: numbers(seeds, loss).mean() for loss in LOSSES}
    gate = {"gate": all(gate["passed"] for gate in seeds["result_gate"])}
    return student_row(
        name, seeds, cost, comparison, about=about, over_seeds=_OVER_SEEDS,
        compared=(*COMPARED, *_OVER_TEACHER), more=losses | gate,
    )  # fmt: skip


def _taught(weights: str) -> str:
    """What stands for a sum of weights in the table."""
    return weights if weights in ("none", "random") else "loaded"


def _frozen_row(
    role: str, inputs: Inputs, normal: str | None, cost: Mapping[Hashable, Any]
) -> dict[str, Any]:
    """Make the row of the teacher or the assistant."""
    metrics, predictions = inputs.results(role)
    row = teacher_row(role, _figures_of(metrics), cost, ("mean_class", "f1", "ap"))
    return row | anomaly_precision(read_predictions(predictions), inputs.class_names, normal)


def _figures_of(metrics: Path) -> dict[str, Any]:
    found: dict[str, Any] = read_json(metrics)
    return found
