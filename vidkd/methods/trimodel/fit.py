"""Make the linear head of a teacher or an assistant, measure it, and judge whether it may teach."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidkd.data.label_ids import label_ids_column
from vidkd.data.tables import UNLABELLED, read_classes
from vidkd.engine.cpu import use_cpu
from vidkd.engine.run import write_files
from vidkd.errors import UserError
from vidkd.evaluate.accuracy import top_k
from vidkd.features.batches import FeatureJoin
from vidkd.features.splits import open_splits
from vidkd.files import atomic, write_text
from vidkd.methods.gate import fit_linear, gate, largest_class, split_labels
from vidkd.methods.probes.rows import token_means
from vidkd.methods.trimodel.settings import GateSettings

log = logging.getLogger(__name__)

FILES = ("model.safetensors", "config.json", "history.csv", "predictions.csv", "metrics.json")


def fit_head(
    settings: GateSettings,
    shards: Mapping[str, Sequence[Path]],
    classes_json: Path,
    labels_csv: Path,
    run_dir: Path,
    about: Mapping[str, Any],
    *,
    marked_only: bool,
) -> None:
    """Write FILES into `run_dir`: the head, and what it is worth.

    Args:
        settings: of the head and the gate.
        shards: cached features of the network by split: train, val and perhaps test, of which the last is
            predicted.
        classes_json: class names of the label.
        labels_csv: label of each video.
        run_dir: folder to write into.
        about: further entries of `config.json` and `metrics.json`: names of the `network` and the `label`.
        marked_only: only videos that are marked as labelled are fitted on.

    Raises:
        UserError: features or labels cannot be used.
    """
    classes = read_classes(classes_json)
    if len(classes) < 2:
        raise UserError(f"{classes_json} has {len(classes)} class: there is nothing to tell apart")
    use_cpu(settings.cpu_threads)
    stores = open_splits(shards)
    joins = {split: FeatureJoin({split: store}) for split, store in stores.items()}
    labels = split_labels(labels_csv, len(classes), joins, marked_only=marked_only)
    feature_ND = {split: token_means(join) for split, join in joins.items()}
    found = fit_linear(settings, feature_ND, labels, classes)
    with torch.no_grad():
        logits = {split: found.probe(feature_ND[split][:, None]) for split in stores if split != "train"}
    last = list(logits)[-1]
    fitted_on = int((labels["train"] != UNLABELLED).sum())
    metrics = {**about, "fitted_on": fitted_on, **measured(logits, labels, settings.margin)}
    log.info("%s", metrics)
    config = {
        "settings": settings.model_dump(mode="json"), **about, "classes": classes, "l2": found.l2,
        "width": feature_ND["train"].shape[1], "features": stores["train"].meta.attributes(),
        "fitted_on": fitted_on, "gate": metrics["gate"],
    }  # fmt: skip
    more = label_ids_column(labels_csv, joins[last].video_ids, len(classes))
    _write_predictions(run_dir / "predictions.csv", joins[last], labels[last], logits[last], more)
    write_text(run_dir / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    write_files(run_dir, found.history, config, found.probe.state_dict())


def measured(
    logits: Mapping[str, Tensor], labels: Mapping[str, NDArray[np.int32]], margin: float
) -> dict[str, Any]:
    """Of each split clips, top-1 and the share of the largest class in percent; the gate on val."""
    found: dict[str, Any] = {}
    for split, logit_NK in logits.items():
        label_N = torch.from_numpy(labels[split].astype(np.int64))
        found |= {
            f"{split}_clips": len(label_N),
            f"{split}_largest_class": largest_class(labels[split]),
            f"{split}_top1": top_k(logit_NK, label_N),
        }
    return found | {"gate": gate(found["val_top1"], found["val_largest_class"], margin)}


def _write_predictions(
    path: Path,
    join: FeatureJoin,
    label_N: NDArray[np.int32],
    logit_NK: Tensor,
    more: Mapping[str, Sequence[str]],
) -> None:
    """A row for each clip: `video_id, label_id, pred, s_0, …`, and the columns `more`."""
    columns: dict[str, Any] = {
        "video_id": join.video_ids,
        "label_id": label_N,
        "pred": logit_NK.argmax(1).numpy(),
    }
    columns |= {f"s_{k}": column.numpy() for k, column in enumerate(logit_NK.softmax(1).T)}
    with atomic(path) as temporary:
        pd.DataFrame(columns | dict(more)).to_csv(temporary, index=False, float_format="%.6g")
