"""The figures of a run of any method on the test split: computed here, once, and selected from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from vidkd import lazy
from vidkd.artefacts import read_json
from vidkd.data.tables import read_classes
from vidkd.evaluate.classes import class_gate, read_predictions, run_figures
from vidkd.files import write_text
from vidkd.methods.inputs import Inputs
from vidkd.registry import find_method


@dataclass(frozen=True)
class Evaluated:
    """What a method's own figures are made from.

    Attributes:
        table: predictions of the run, a row for each clip; of several frame counts at the reported one.
        config: `config.json` of the run; empty where nothing was trained (an ensemble).
        classes: names by label id.
        inputs: every file of the run.
        settings: what its figures depend on beside these.
    """

    table: pd.DataFrame
    config: Mapping[str, Any]
    classes: list[str]
    inputs: Inputs
    settings: Mapping[str, Any]


def evaluate(
    method: str, run: str, seed: int, inputs: Inputs, settings: Mapping[str, Any], metrics: Path
) -> None:
    """Write `metrics.json` of one run; accuracies are in percent.

    Args:
        method: by name.
        run: its name.
        seed: of the run.
        inputs: its predictions, cost and configuration.
        settings: what the method's own figures depend on.
        metrics: file to write.

    Raises:
        UserError: the predictions have no row.
    """
    section = find_method(method)
    about = {"method": method, "run": run, "seed": seed}
    own: Callable[..., dict[str, Any]] | None = lazy.load(section.EVALUATE) if section.EVALUATE else None
    if section.CLASSIFIES:
        found = _classified(inputs, settings, own)
    else:
        assert own is not None
        found = own(inputs)
    write_text(metrics, json.dumps(about | found, indent=2) + "\n")


def _classified(
    inputs: Inputs, settings: Mapping[str, Any], own: Callable[[Evaluated], dict[str, Any]] | None
) -> dict[str, Any]:
    """The figures of any classifier, what it costs, and what its method adds or says otherwise."""
    table = read_predictions(inputs.result("predictions"))
    trained = "config" in inputs.needs.results
    config = read_json(inputs.result("config")) if trained else {}
    classes = config.get("classes") or read_classes(inputs.classes)
    cost = read_json(inputs.result("efficiency"))
    found = {**run_figures(table, classes), **cost, "result_gate": class_gate(table)}
    return found | (own(Evaluated(table, config, classes, inputs, settings)) if own else {})
