"""Predict the test split with a run of any method: a row for each clip, and what the network costs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidkd import lazy
from vidkd.files import write_text
from vidkd.methods.inputs import Inputs
from vidkd.methods.predictions import write_predictions
from vidkd.registry import find_method

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Predicted:
    """What a run says of the test split.

    Attributes:
        columns: `video_id, label_id, pred, s_0, …` (`s_{label_id}`: probabilities), and a method's own.
        cost: `params`, and `gflops` (multiply-adds) and `frames` of a clip where the network sees one.
    """

    columns: Mapping[str, Any]
    cost: Mapping[str, Any]


def class_columns(video_ids: Sequence[str], label_ids: Any, logit_NK: Tensor) -> dict[str, Any]:
    """Make the columns that any classifier predicts: `video_id, label_id, pred, s_0, …` (see `Predicted`)."""
    columns = {"video_id": video_ids, "label_id": label_ids, "pred": logit_NK.argmax(1).numpy()}
    return columns | {f"s_{k}": column.numpy() for k, column in enumerate(logit_NK.softmax(1).T)}


def predict(
    method: str,
    inputs: Inputs,
    settings: Mapping[str, Any],
    predictions: Path,
    efficiency: Path,
    workers: int = 0,
) -> None:
    """Write `predictions.csv` and `efficiency.json` of one run.

    Args:
        method: by name.
        inputs: the run's weights, and the test split.
        settings: what predictions depend on beside them.
        predictions: csv to write.
        efficiency: json to write.
        workers: loader processes.

    Raises:
        UserError: the network or the videos cannot be used, or a score is no finite number.
    """
    run: Callable[[Inputs, Mapping[str, Any], int], Predicted] = lazy.load(find_method(method).PREDICT)
    found = run(inputs, settings, workers)
    write_predictions(predictions, found.columns)
    write_text(efficiency, json.dumps(found.cost, indent=2) + "\n")
