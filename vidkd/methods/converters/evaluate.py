"""How near converted features are to those of the teacher: the figures of one converter.

Shapes in names: B clips, N all of them, T tokens of a clip, D features of whichever network.

Each figure stands beside what it is without a converter: the teacher's mean training feature for every clip,
chance, or the student's own features (CKA does not mind a random projection). Values are those that a fusion
head gets, with the rounding of a cache.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from vidkd.config.data import SPLITS
from vidkd.engine.cpu import use_cpu
from vidkd.engine.run import read_config
from vidkd.errors import UserError
from vidkd.evaluate.similarity import retrieval_top1, unbiased_cka
from vidkd.evaluate.token_errors import TokenErrors
from vidkd.features.batches import FeatureJoin, FeatureSource
from vidkd.features.meta import FeatureMeta
from vidkd.features.splits import open_splits
from vidkd.features.store import FeatureStore
from vidkd.features.tokens import checked
from vidkd.methods.converters.convert import ConvertedFeatures
from vidkd.methods.converters.load import DECIDING, converter_config, load_converter
from vidkd.methods.converters.settings import ConverterSettings
from vidkd.methods.inputs import Inputs
from vidkd.methods.probes.predict import load_probe

log = logging.getLogger(__name__)

_MEASURED = ("test", "val")
"""Splits in the order of the figures and of their table: what is reported, then what has chosen the epoch."""

_CONSTANT = 1e-4
"""Deviation over clips, as a share of the real features' (`spread`), below which all clips have the same."""


def evaluate(inputs: Inputs) -> dict[str, Any]:
    """Measure one converter on val and test, and say how it is called.

    Args:
        inputs: `converter` and `probe`, a head that was fitted on the teacher's own features; the student's
            features, and the teacher's with those of train.

    Raises:
        UserError: a cache cannot be used, or the converter or the head was made for other features.
    """
    weights, probe = inputs.weights("converter"), inputs.weights("probe")
    config, converter = converter_config(weights), load_converter(weights)
    settings = ConverterSettings.model_validate(config["settings"])
    use_cpu(settings.cpu_threads)
    head, real = load_probe(probe), open_splits(inputs.features(config["teacher"], *SPLITS))
    student = inputs.features(config["student"], *_MEASURED)
    _check_teacher(weights, config, real["train"].meta, probe)
    mean_TD = _mean_feature(FeatureJoin({config["teacher"]: real["train"]}))
    splits: dict[str, dict[str, Any]] = {}
    for split in _MEASURED:
        store = FeatureStore(student[split])
        sources: dict[str, FeatureSource] = {
            config["student"]: store,
            f"{config['student']} converted": ConvertedFeatures.of(store, converter, weights),
            config["teacher"]: real[split],
        }
        join = FeatureJoin(sources, settings.allow_missing)
        _check_labels(join, probe)
        splits[split] = _measure(join, head, mean_TD)
        log.info("%s: %s", split, splits[split])
    stuck = (splits["test"]["spread"] or 0) < _CONSTANT
    return {
        **{name: config[name] for name in ("converter", "student", "teacher", "params")},
        "n_clips": splits["test"]["n_clips"],
        "splits": splits,
        "result_gate": {
            "passed": not stuck,
            "reason": "converted features are the same for every clip" if stuck else "",
        },
    }


def _mean_feature(join: FeatureJoin) -> Tensor:
    """The mean (T, D) over the clips of one backbone, in float64."""
    total = sum(next(iter(batch.features.values())).double().sum(0) for batch in checked(join))
    return torch.as_tensor(total) / len(join)


@torch.inference_mode()
def _measure(join: FeatureJoin, head: nn.Module, mean_TD: Tensor) -> dict[str, Any]:
    """The figures of one split, None where one is not defined.

    Args:
        join: features of the student, converted ones and those of the teacher, in this order.
        head: fitted on the teacher's features.
        mean_TD: mean of the teacher's training features.
    """
    errors = TokenErrors(mean_TD)
    means: tuple[list[Tensor], ...] = [], [], []
    right = [0, 0]
    for batch in checked(join):
        _, *both = batch.features.values()
        errors.add(*both)
        for side, feature_BTD in enumerate(both):
            right[side] += int((head(feature_BTD).argmax(1) == batch.label).sum())
        for parts, feature_BTD in zip(means, batch.features.values(), strict=True):
            parts.append(feature_BTD.double().mean(1))
    student_ND, converted_ND, real_ND = map(torch.cat, means)
    converted_ND, real_ND = (feature_ND - mean_TD.mean(0) for feature_ND in (converted_ND, real_ND))
    varies = _deviation(real_ND)
    found = {
        "r2": errors.r2(),
        "r2_mean_feature": errors.r2_of_mean(),
        "cosine": errors.cosine(),
        "cosine_mean_feature": errors.cosine_of_mean(),
        "cka": unbiased_cka(converted_ND, real_ND),
        "cka_student": unbiased_cka(student_ND, real_ND),
        "retrieval_top1": retrieval_top1(converted_ND, real_ND),
        "retrieval_chance": 100 / len(join),
        "probe_top1": 100 * right[0] / len(join),
        "probe_top1_real": 100 * right[1] / len(join),
        "probe_chance": 100 * pd.Series(join.label_ids).value_counts(normalize=True).max(),
        "spread": _deviation(converted_ND) / varies if varies else math.nan,
    }
    figures = {name: None if math.isnan(value) else value for name, value in found.items()}
    return {"n_clips": len(join), **figures}


def _deviation(feature_ND: Tensor) -> float:
    return (feature_ND - feature_ND.mean(0)).square().mean().sqrt().item()


def _check_teacher(weights: Path, config: Mapping[str, Any], teacher: FeatureMeta, probe: Path) -> None:
    trained = FeatureMeta.read(config["teacher_meta"])
    if wrong := trained.differing(teacher, DECIDING):
        raise UserError(
            f"{weights} is a converter to other features than these of {teacher.backbone}: it was trained to "
            f"have {'; '.join(wrong)}. Give the features that it was trained on, or train it again."
        )
    fitted = FeatureMeta.read(read_config(probe)["features"])
    if wrong := fitted.differing(teacher, DECIDING):
        raise UserError(
            f"{probe} is a head on other features than these of {teacher.backbone}: it was fitted on those "
            f"with {'; '.join(wrong)}. Give the one that fit_probe made of these features."
        )


def _check_labels(join: FeatureJoin, probe: Path) -> None:
    classes = read_config(probe)["classes"]
    if len(join) and not 0 <= join.label_ids.min() <= join.label_ids.max() < len(classes):
        raise UserError(
            f"{probe} knows {len(classes)} classes, and the features have labels from {join.label_ids.min()} "
            f"to {join.label_ids.max()}: give the head of the data set's own label"
        )
