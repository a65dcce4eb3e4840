"""Temporal frequency deviation: how accuracy changes when a network sees another number of frames.

`tfd_gap = Acc(largest) - Acc(smallest)` is seed 004's. `dev_f = Acc_separate(f) - Acc(f)` does not punish a
network for information that fewer frames never had: it compares with training at f frames alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from vidkd.artefacts import read_json
from vidkd.errors import UserError
from vidkd.evaluate.classes import reported_count
from vidkd.evaluate.tables import read_csv
from vidkd.methods.evaluate import Evaluated
from vidkd.methods.ffn.settings import TFDSettings, nearest_count
from vidkd.methods.inputs import Inputs

_SEPARATE = "st"

_PREDICTION = re.compile(r"^pred_(\d+)f$")


def figures(run: Evaluated) -> dict[str, Any]:
    """Accuracy in percent by frame count, and the result gate at all of them.

    Raises:
        UserError: the predictions have no column of a frame count.
    """
    predictions = run.inputs.result("predictions")
    table = read_csv(predictions, ["label_id"])
    columns = {int(m[1]): table[name] for name in table.columns if (m := _PREDICTION.match(name))}
    if not columns:
        raise UserError(f"{predictions} has no predictions: delete it and run again.")
    return {
        "frames": reported_count(table),
        "accuracy": {
            str(count): 100 * float((column == table["label_id"]).mean()) for count, column in columns.items()
        },
        "result_gate": _result_gate(columns),
    }


def _result_gate(predictions: dict[int, pd.Series]) -> dict[str, Any]:
    """Failed when the predictions at some frame count are all of one class: such a run has learnt nothing."""
    stuck = [count for count, column in sorted(predictions.items()) if column.nunique() == 1]
    if not stuck:
        return {"passed": True, "reason": ""}
    counts = ", ".join(map(str, stuck))
    return {"passed": False, "reason": f"every clip gets the same class at {counts} frames"}


def tabulate_tfd(inputs: Inputs, settings: Mapping[str, Any]) -> pd.DataFrame:
    """Make the TFD table: a row for each variant at the reported frame counts.

    Raises:
        UserError: a variant that separate training is made of, or a frame count of the table, is missing.
    """
    own = TFDSettings.model_validate(settings)
    runs = _runs(inputs.results("metrics"), own)
    return pd.DataFrame([_tfd_row(name, seeds, runs, own) for name, seeds in runs.items()])


def tabulate_any_frame(inputs: Inputs, settings: Mapping[str, Any]) -> pd.DataFrame:
    """Make the table of every frame count: the accuracy of each variant at each.

    Raises:
        UserError: see `tabulate_tfd`.
    """
    runs = _runs(inputs.results("metrics"), TFDSettings.model_validate(settings))
    return pd.DataFrame(
        [
            {
                "variant": name,
                "frames": count,
                "acc": values.mean(),
                "acc_std": values.std(),
                "seeds": len(seeds),
                "clips": next(iter(seeds.values()))["n_clips"],
            }
            for name, seeds in runs.items()
            for count in _counts(seeds)
            for values in [pd.Series([run["accuracy"][count] for run in seeds.values()])]
        ]
    )


def _runs(metrics: Sequence[Path], settings: TFDSettings) -> dict[str, dict[int, dict[str, Any]]]:
    """Variant → seed → metrics with integer frame counts; the composed row `st` comes last."""
    runs: dict[str, dict[int, dict[str, Any]]] = {}
    for path in metrics:
        run = read_json(path)
        for key in ("accuracy", "gflops"):
            run[key] = {int(count): value for count, value in run[key].items()}
        runs.setdefault(run["run"], {})[run["seed"]] = run
    if unknown := sorted(set(settings.separate.values()) - set(runs)):
        raise UserError(
            f"ffn.tfd.separate names {', '.join(unknown)}, whose metrics are not among the inputs."
        )
    for name, seeds in runs.items():
        if missing := sorted(set(settings.report_counts) - set(_counts(seeds))):
            raise UserError(
                f"ffn.tfd.report_counts: {name} was not predicted at {missing}: raise ffn.predict.max_count."
            )
    if settings.separate:
        runs[_SEPARATE] = _separate(runs, settings)
    return runs


def _separate(runs: dict[str, dict[int, dict[str, Any]]], settings: TFDSettings) -> dict[int, dict[str, Any]]:
    """Each frame count served by the network trained at the nearest one alone (ties to the higher)."""
    trained = {count: runs[name] for count, name in settings.separate.items()}
    seeds = set.intersection(*(set(by_seed) for by_seed in trained.values()))
    composed = {}
    for seed in sorted(seeds):
        members = {count: by_seed[seed] for count, by_seed in trained.items()}
        nearest = {n: nearest_count(members, n) for n in next(iter(members.values()))["accuracy"]}
        composed[seed] = {
            "accuracy": {n: members[count]["accuracy"][n] for n, count in nearest.items()},
            "gflops": {n: members[count]["gflops"][n] for n, count in nearest.items()},
            "params": sum(run["params"] for run in members.values()),
            "n_clips": next(iter(members.values()))["n_clips"],
        }
    return composed


def _tfd_row(
    name: str,
    seeds: dict[int, dict[str, Any]],
    runs: dict[str, dict[int, dict[str, Any]]],
    settings: TFDSettings,
) -> dict[str, Any]:
    counts = settings.report_counts
    table = pd.DataFrame({seed: {f: run["accuracy"][f] for f in counts} for seed, run in seeds.items()})
    separate = pd.DataFrame(
        {seed: {f: run["accuracy"][f] for f in counts} for seed, run in runs.get(_SEPARATE, {}).items()}
    )
    row: dict[str, Any] = {"variant": name, "seeds": len(seeds)}
    for f in counts:
        row |= {f"acc_{f}f": table.loc[f].mean(), f"acc_{f}f_std": table.loc[f].std()}
    gap = table.loc[max(counts)] - table.loc[min(counts)]
    row |= {"tfd_gap": gap.mean(), "tfd_gap_std": gap.std()}
    for f in counts if len(separate) else ():
        deviation = (separate.loc[f] - table.loc[f]).dropna()
        row |= {f"dev_{f}f": deviation.mean(), f"dev_{f}f_std": deviation.std()}
    first = next(iter(seeds.values()))
    row |= {"params": first["params"]} | {f"gflops_{f}f": first["gflops"][f] for f in counts}
    return row | {"clips": first["n_clips"]}


def _counts(seeds: dict[int, dict[str, Any]]) -> list[int]:
    """Frame counts that every seed has."""
    return sorted(set.intersection(*(set(run["accuracy"]) for run in seeds.values())))
