"""Make the head of a frozen teacher, measure it, and judge whether it may teach.

Shapes in names: N videos, D features, K classes.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from vidkd.backbones.clip import CLIP
from vidkd.backbones.registry import load_backbone
from vidkd.config.backbones import BackboneSettings
from vidkd.data.tables import UNLABELLED, read_classes
from vidkd.engine.cpu import use_cpu
from vidkd.engine.run import write_files
from vidkd.errors import UserError
from vidkd.evaluate.accuracy import top_k
from vidkd.evaluate.efficiency import gflops
from vidkd.features.batches import FeatureJoin
from vidkd.features.meta import FeatureMeta
from vidkd.features.splits import open_splits
from vidkd.files import atomic, write_text
from vidkd.methods.gate import fit_linear, gate, largest_class, split_labels
from vidkd.methods.probes.rows import token_means
from vidkd.methods.student.prompts import class_words
from vidkd.methods.student.settings import Head, TeacherSettings
from vidkd.methods.student.teacher import HEADS, TeacherHead, count_teacher, whole_teacher

log = logging.getLogger(__name__)

FILES = ("model.safetensors", "config.json", "history.csv", "predictions.csv", "metrics.json")


PROMPTS = 256
"""Prompts that the text tower sees at once."""


def fit_teacher_head(
    settings: TeacherSettings,
    backbone: BackboneSettings,
    shards: Mapping[str, Sequence[Path]],
    classes_json: Path,
    labels_csv: Path,
    run_dir: Path,
    about: Mapping[str, Any],
    *,
    marked_only: bool,
) -> list[Path]:
    """Write FILES into `run_dir`: all of HEADS are measured, and the gate judges the one of the settings.

    Args:
        settings: of the head.
        backbone: the CLIP, whose text tower makes zero_shot.
        shards: its cached features by split.
        classes_json: class names of the label.
        labels_csv: label of each video.
        run_dir: folder to write into.
        about: further entries of `config.json` and `metrics.json`: names of the `teacher` and the `label`.
        marked_only: only videos that are marked as labelled are fitted on.

    Returns:
        The files of the CLIP that were read.

    Raises:
        UserError: features, labels or prompts cannot be used, or the features are of another CLIP.
    """
    classes = read_classes(classes_json)
    if len(classes) < 2:
        raise UserError(f"{classes_json} has {len(classes)} class: a teacher has nothing to tell apart")
    use_cpu(settings.cpu_threads)
    stores = open_splits(shards)
    joins = {split: FeatureJoin({split: store}) for split, store in stores.items()}
    labels = split_labels(labels_csv, len(classes), joins, marked_only=marked_only)
    network, meta = _clip(backbone), stores["train"].meta
    _check_cached(network, meta)
    feature_ND = {split: token_means(join) for split, join in joins.items()}
    words = class_words(classes, settings.class_names)
    head, history = _make_head(settings, network, words, feature_ND, labels, classes)
    fitted_on = int((labels["train"] != UNLABELLED).sum())
    logits = {split: _logits(head, feature_ND[split]) for split in ("val", "test")}
    metrics = {**about, "fitted_on": fitted_on, **measured(logits, labels, settings), **_cost(network, head)}
    log.info("%s", metrics)
    config = {
        "settings": settings.model_dump(mode="json"), **about, "classes": classes, "words": words,
        "head": settings.head, "width": feature_ND["train"].shape[1], "features": meta.attributes(),
        "fitted_on": fitted_on, "gate": metrics["gate"],
    }  # fmt: skip
    _write_predictions(
        run_dir / "predictions.csv", joins["test"], labels["test"], logits["test"], settings.head
    )
    write_text(run_dir / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    write_files(run_dir, history, config, head.state_dict())
    return list(network.origin.files)


@torch.no_grad()
def text_features(network: CLIP, words: Sequence[str], templates: Sequence[str]) -> Tensor:
    """A unit vector (K, D) for each class: the mean of its prompts' unit vectors (Radford et al. 2021)."""
    prompts = [template.replace("{}", of) for of in words for template in templates]
    parts = [
        network.encode_texts(prompts[start : start + PROMPTS]) for start in range(0, len(prompts), PROMPTS)
    ]
    prompt_ND = F.normalize(torch.cat(parts).float(), dim=1)
    return F.normalize(prompt_ND.unflatten(0, (len(words), -1)).mean(1), dim=1)


def measured(
    logits: Mapping[str, Mapping[Head, Tensor]],
    labels: Mapping[str, NDArray[np.int32]],
    settings: TeacherSettings,
) -> dict[str, Any]:
    """Top-1 in percent of each of HEADS, the share of the largest class, and the gate on val."""
    found: dict[str, Any] = {"head": settings.head}
    for split, heads in logits.items():
        label_N = torch.from_numpy(labels[split].astype(np.int64))
        found[f"{split}_clips"] = len(label_N)
        found[f"{split}_largest_class"] = largest_class(labels[split])
        found |= {f"{split}_{one}": top_k(logit_NK, label_N) for one, logit_NK in heads.items()}
    gates = {one: gate(found[f"val_{one}"], found["val_largest_class"], settings.margin) for one in HEADS}
    return found | {"gates": gates, "gate": gates[settings.head]}


def _cost(network: CLIP, head: TeacherHead) -> dict[str, float]:
    """Parameters of the image tower and the head, and GFLOPs (multiply-adds) of a clip."""
    return {
        "frames": network.spec.frames,
        "params": count_teacher(network, head),
        "gflops": gflops(whole_teacher(network, head), network.spec.frames, network.spec.size),
    }


@torch.no_grad()
def _logits(head: TeacherHead, feature_ND: Tensor) -> dict[Head, Tensor]:
    """Logits (N, K) of each of HEADS."""
    return {one: head.logits(feature_ND.float(), one) for one in HEADS}


def _check_cached(network: CLIP, meta: FeatureMeta) -> None:
    if network.weights_sha256 != meta.weights_sha256:
        raise UserError(
            f"the cached features are of a network with weights {meta.weights_sha256}, and "
            f"{network.origin.name} has {network.weights_sha256}: give the teacher whose features these are, "
            "or run snakemake features again"
        )


def _make_head(
    settings: TeacherSettings,
    network: CLIP,
    words: Sequence[str],
    feature_ND: Mapping[str, Tensor],
    labels: Mapping[str, NDArray[np.int32]],
    classes: Sequence[str],
) -> tuple[TeacherHead, list[dict[str, float]]]:
    """The head, and what each penalty of its probe had on validation."""
    head = TeacherHead(feature_ND["train"].shape[1], len(classes), settings.head)
    head.text.copy_(text_features(network, words, settings.templates))
    head.scale.copy_(network.network.logit_scale.exp())
    found = fit_linear(settings, feature_ND, labels, classes)
    head.probe.load_state_dict(found.probe.state_dict())
    return head, found.history


def _clip(backbone: BackboneSettings) -> CLIP:
    if backbone.kind != "clip":
        raise UserError(
            f"the teacher is of the kind {backbone.kind}; only clip has a text tower: name a CLIP"
        )
    return cast(CLIP, load_backbone(backbone))


def _write_predictions(
    path: Path, join: FeatureJoin, label_N: NDArray[np.int32], logits: Mapping[Head, Tensor], head: Head
) -> None:
    """A row for each clip: `video_id, label_id, pred, s_0, …` of the chosen head, and `pred_` of each."""
    table = pd.DataFrame(
        {"video_id": join.video_ids, "label_id": label_N, "pred": logits[head].argmax(1).numpy()}
    )
    scores = {f"s_{k}": column.numpy() for k, column in enumerate(logits[head].softmax(1).T)}
    others = {f"pred_{one}": logit_NK.argmax(1).numpy() for one, logit_NK in logits.items()}
    with atomic(path) as temporary:
        pd.concat([table, pd.DataFrame(scores | others)], axis=1).to_csv(
            temporary, index=False, float_format="%.6g"
        )
