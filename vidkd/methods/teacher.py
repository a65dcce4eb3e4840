"""A frozen network that teaches: its head for a label, what the head is worth, and the gate that judges it.

A head that is random, as in the public code of seeds 000 and 001, makes targets of noise. Here a linear head
(probe) is fitted on cached training features; of a CLIP there are two more, of class names (zero_shot) and of
both (average).

Shapes in names: N videos, D features, K classes.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidkd.backbones.protocol import Backbone
from vidkd.backbones.registry import load_backbone
from vidkd.config.teacher import Head, TeacherSettings
from vidkd.data.label_ids import label_ids_column, read_labels
from vidkd.data.tables import UNLABELLED
from vidkd.engine.accuracy import top_k
from vidkd.engine.cpu import use_cpu
from vidkd.engine.run import write_files
from vidkd.errors import UserError
from vidkd.evaluate.classes import read_predictions, run_figures
from vidkd.features.batches import FeatureJoin
from vidkd.features.meta import FeatureMeta
from vidkd.features.splits import open_splits
from vidkd.features.store import FeatureStore
from vidkd.files import write_text
from vidkd.methods.inputs import Inputs
from vidkd.methods.predictions import write_predictions
from vidkd.methods.probes.rows import token_means
from vidkd.methods.prompts import class_words, text_features
from vidkd.methods.teacher_model import TeacherHead

if TYPE_CHECKING:  # open_clip and scikit-learn take seconds, and predicting a student does without
    from vidkd.backbones.clip import CLIP
    from vidkd.methods.probes.linear import Chosen

log = logging.getLogger(__name__)

FILES = ("model.safetensors", "config.json", "history.csv", "predictions.csv", "metrics.json")


def fit_teacher(settings: TeacherSettings, inputs: Inputs, run_dir: Path) -> None:
    """Make the head, measure it, and write FILES into `run_dir`; the gate judges the head of the settings.

    Args:
        settings: of the head and the gate.
        inputs: cached features of one network of train, val and perhaps test, of which the last is predicted;
            the label; a CLIP as `teacher` too, whose text tower makes zero_shot.
        run_dir: folder to write into.

    Raises:
        UserError: features, labels or prompts cannot be used, or the features are of another network.
    """
    classes = inputs.class_names
    use_cpu(settings.cpu_threads)
    name, stores = _stores(inputs)
    joins = {split: FeatureJoin({split: store}) for split, store in stores.items()}
    labels = _split_labels(inputs.labels, len(classes), joins, marked_only=inputs.needs.marked_only)
    meta, clip = stores["train"].meta, _clip(settings, inputs)
    if clip is not None:
        _check_cached(clip, meta)
    feature_ND = {split: token_means(join) for split, join in joins.items()}
    words = None if clip is None else class_words(classes, settings.class_names)
    linear = fit_linear(settings, feature_ND, labels, classes)
    head = _make_head(settings, linear, clip, words)
    logits = {split: _logits(head, feature_ND[split]) for split in stores if split != "train"}
    about = {
        "network": name, "label": inputs.needs.label, "head": settings.head,
        "fitted_on": int((labels["train"] != UNLABELLED).sum()),
    }  # fmt: skip
    metrics = {**about, **measured(logits, labels, settings)}
    config = {
        "settings": settings.model_dump(mode="json"), **about, "classes": classes, "words": words,
        "l2": linear.l2, "width": feature_ND["train"].shape[1], "features": meta.attributes(),
        "gate": metrics["gate"],
    }  # fmt: skip
    table, last = run_dir / "predictions.csv", list(logits)[-1]
    more = label_ids_column(inputs.labels, joins[last].video_ids, len(classes))
    _write_predictions(table, joins[last], labels[last], logits[last], settings.head, more)
    metrics |= run_figures(read_predictions(table), classes)
    log.info("%s", metrics)
    write_text(run_dir / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    write_files(run_dir, linear.history, config, head.state_dict())


def _stores(inputs: Inputs) -> tuple[str, dict[str, FeatureStore]]:
    """Open the cached features of the one network that is given, by split, and say its name."""
    names = inputs.networks_with_features
    if len(names) != 1:
        raise UserError(f"a head is that of one network: give features of one, not of {len(names)}")
    splits = dict.fromkeys(("train", "val", *inputs.needs.features[names[0]]))
    return names[0], open_splits(inputs.features(names[0], *splits))


def _clip(settings: TeacherSettings, inputs: Inputs) -> CLIP | None:
    """Load the network if it is a CLIP; None if it is none and the linear head is asked for.

    Raises:
        UserError: it is none, and another head is asked for.
    """
    network = inputs.network("teacher")
    if network is not None and network.settings.kind == "clip":
        return cast("CLIP", load_backbone(network.settings))
    if settings.head == "probe":
        return None
    if network is None:
        raise UserError(f"head {settings.head} is that of a CLIP: give --network teacher=JSON, or head probe")
    raise UserError(
        f"the teacher is of the kind {network.settings.kind}; only clip has a text tower: name a CLIP"
    )


def _check_cached(network: Backbone, meta: FeatureMeta) -> None:
    if network.weights_sha256 != meta.weights_sha256:
        raise UserError(
            f"the cached features are of a network with weights {meta.weights_sha256}, and "
            f"{network.origin.name} has {network.weights_sha256}: give the teacher whose features these are, "
            "or run snakemake features again"
        )


def _split_labels(
    labels_csv: Path, n_classes: int, joins: Mapping[str, FeatureJoin], *, marked_only: bool
) -> dict[str, NDArray[np.int32]]:
    """Read the label ids of the videos of each split, in their order; training videos may be UNLABELLED.

    Args:
        labels_csv: label of each video.
        n_classes: K.
        joins: the videos by split.
        marked_only: training videos that are not marked as labelled count as unlabelled.

    Raises:
        UserError: a validation or test video has no label, or see read_labels.
    """
    found: dict[str, NDArray[np.int32]] = {}
    for split, join in joins.items():
        only = marked_only and split == "train"
        found[split] = read_labels(labels_csv, join.video_ids, n_classes, marked_only=only)
        if split != "train" and (found[split] == UNLABELLED).any():
            raise UserError(
                f"{labels_csv}: a {split} video has no label; only training videos may be without"
            )
    return found


def fit_linear(
    settings: TeacherSettings,
    feature_ND: Mapping[str, Tensor],
    labels: Mapping[str, NDArray[np.int32]],
    classes: Sequence[str],
) -> Chosen:
    """Fit the linear head on the labelled training videos, at the penalty that validation prefers.

    Raises:
        UserError: a class has no labelled training video.
    """
    from vidkd.methods.probes.linear import chosen

    known_N = labels["train"] != UNLABELLED
    there = set(labels["train"][known_N].tolist())
    if missing := [name for number, name in enumerate(classes) if number not in there]:
        raise UserError(
            f"no labelled training video is of class {', '.join(missing[:5])}: the probe cannot learn it. "
            "Mark more videos as labelled (demo.low_label, data.labelled), or set labels: all"
        )
    fitted_on = feature_ND["train"][torch.from_numpy(known_N)]
    return chosen(fitted_on, labels["train"][known_N], feature_ND["val"], labels["val"], settings)


def _make_head(
    settings: TeacherSettings, linear: Chosen, clip: CLIP | None, words: Sequence[str] | None
) -> TeacherHead:
    """Put the linear head, and the class names where there is a CLIP, into one head."""
    n_classes, width = linear.probe.classifier.weight.shape
    head = TeacherHead(width, n_classes, settings.head, texts=clip is not None)
    head.probe.load_state_dict(linear.probe.state_dict())
    if clip is not None and words is not None:
        head.text.copy_(text_features(clip, words, settings.templates))
        head.scale.copy_(clip.network.logit_scale.exp())
    return head


@torch.no_grad()
def _logits(head: TeacherHead, feature_ND: Tensor) -> dict[Head, Tensor]:
    """Logits (N, K) of each of its heads."""
    return {one: head.logits(feature_ND.float(), one) for one in head.heads}


def measured(
    logits: Mapping[str, Mapping[Head, Tensor]],
    labels: Mapping[str, NDArray[np.int32]],
    settings: TeacherSettings,
) -> dict[str, Any]:
    """Measure top-1 in percent of each head and the share of the largest class; judge each head on val."""
    found: dict[str, Any] = {}
    for split, heads in logits.items():
        label_N = torch.from_numpy(labels[split].astype(np.int64))
        found[f"{split}_clips"] = len(label_N)
        found[f"{split}_largest_class"] = largest_class(labels[split])
        found |= {f"{split}_{one}": top_k(logit_NK, label_N) for one, logit_NK in heads.items()}
    gates = {
        one: gate(found[f"val_{one}"], found["val_largest_class"], settings.margin) for one in logits["val"]
    }
    return found | {"gates": gates, "gate": gates[settings.head]}


def gate(top1: float, largest: float, margin: float) -> dict[str, Any]:
    """Judge whether validation top-1 is above the share of the largest class by the margin, in percent."""
    reason = (
        f"its validation top-1 is {top1:.1f}%, and saying the largest class of every video has "
        f"{largest:.1f}%: less than {margin:g} points above"
    )
    passed = top1 - largest >= margin and top1 > largest
    return {"passed": passed, "reason": "" if passed else reason, "margin": margin}


def largest_class(label_N: NDArray[np.int32]) -> float:
    """Return the share in percent of the most frequent class."""
    return float(100 * np.bincount(label_N).max() / len(label_N))


def _write_predictions(
    path: Path,
    join: FeatureJoin,
    label_N: NDArray[np.int32],
    logits: Mapping[Head, Tensor],
    head: Head,
    more: Mapping[str, Sequence[str]],
) -> None:
    """Write a row for each clip: `video_id, label_id, pred, s_0, …`, `pred_` of several heads, `more`."""
    columns: dict[str, Any] = {
        "video_id": join.video_ids, "label_id": label_N, "pred": logits[head].argmax(1).numpy(),
    }  # fmt: skip
    columns |= {f"s_{k}": column.numpy() for k, column in enumerate(logits[head].softmax(1).T)}
    if len(logits) > 1:
        columns |= {f"pred_{one}": logit_NK.argmax(1).numpy() for one, logit_NK in logits.items()}
    write_predictions(path, columns | dict(more))
