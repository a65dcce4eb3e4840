"""What a converter is trained on: the same videos as the student sees them and as the teacher does."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from vidkd.errors import UserError
from vidkd.features.batches import FeatureJoin
from vidkd.features.meta import FeatureMeta
from vidkd.features.splits import open_splits
from vidkd.methods.converters.settings import ConverterSettings
from vidkd.methods.inputs import Inputs

log = logging.getLogger(__name__)

LEARNT_FROM = ("train", "val")
"""Splits that a training sees."""

_SHOWN = 5


@dataclass(frozen=True)
class Pairs:
    """Features of both networks, joined by video id; a batch has the student's first.

    Attributes:
        train: videos to learn from.
        val: videos that choose the epoch.
        left_out: where allow_missing allows it: by split and network, how many videos of the other it lacks,
            and the first of them.
    """

    train: FeatureJoin
    val: FeatureJoin
    left_out: dict[str, dict[str, dict[str, object]]]

    @property
    def metas(self) -> tuple[FeatureMeta, FeatureMeta]:
        """How the student's and the teacher's features are made."""
        student, teacher = self.train.stores.values()
        return student.meta, teacher.meta

    @property
    def shapes(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """(T', D) of the student's rows and the teacher's."""
        student, teacher = self.train.stores.values()
        return student.shape, teacher.shape


def open_pairs(settings: ConverterSettings, inputs: Inputs) -> Pairs:
    """Open the features of both networks.

    Args:
        settings: of the converter.
        inputs: features of the student, then those of the teacher: train and val.

    Raises:
        UserError: there are not two networks, a cache cannot be used or is of another backbone, its splits
            were not made alike, videos are missing from one of them, labels disagree, or the converter cannot
            make these tokens of those.
    """
    names = inputs.networks_with_features
    if len(names) == 1:
        raise UserError(f"{names[0]} is both the student and the teacher: name two backbones")
    if len(names) != 2:
        raise UserError(
            f"features of {len(names)} networks are given: give those of the student, then the teacher's"
        )
    shards = {name: inputs.features(name, *LEARNT_FROM) for name in names}
    stores = {name: open_splits(of) for name, of in shards.items()}
    for name, splits in stores.items():
        _check_name(name, splits["train"].meta, shards[name]["train"][0])
    joins = {
        split: FeatureJoin({name: stores[name][split] for name in stores}, settings.allow_missing)
        for split in LEARNT_FROM
    }
    left_out = {split: found for split, join in joins.items() if (found := lacking(split, join))}
    pairs = Pairs(joins["train"], joins["val"], left_out)
    _check_tokens(settings, pairs)
    return pairs


def _check_name(name: str, meta: FeatureMeta, file: Path) -> None:
    if meta.backbone != name:
        raise UserError(
            f"{file} has features of {meta.backbone}, not of {name}: give the files of {name}, or name the "
            "backbone that they are of"
        )


def lacking(split: str, join: FeatureJoin) -> dict[str, dict[str, object]]:
    """Count the videos of the others that each source of a join lacks, name the first, and log them."""
    found: dict[str, dict[str, object]] = {}
    every = {video_id for store in join.stores.values() for video_id in store.video_ids}
    for name, store in join.stores.items():
        if missing := sorted(every.difference(store.video_ids)):
            found[name] = {"videos": len(missing), "first": missing[:_SHOWN]}
            shown = ", ".join(missing[:_SHOWN])
            log.warning("%s: %s has no features of %d videos (%s)", split, name, len(missing), shown)
    return found


def _check_tokens(settings: ConverterSettings, pairs: Pairs) -> None:
    """What goes along tokens as along time must find time there, and nothing else."""
    (student, teacher), ((before, _), (after, _)) = pairs.metas, pairs.shapes
    alike = before == after and layout(student) == layout(teacher)
    if settings.kind == "perceiver" or alike or not (these := [m for m in (student, teacher) if mixed(m)]):
        return
    raise UserError(
        f"kind {settings.kind} goes along the tokens as along time, and in the {before} tokens of "
        f"{student.backbone} and the {after} of {teacher.backbone} time and place are mixed "
        f"({', '.join(meta.backbone for meta in these)}): use kind perceiver, or cache features with tokens "
        "time, one view and one crop"
    )


def mixed(meta: FeatureMeta) -> bool:
    """Say whether time and place, or several views, are mixed in the tokens of these features."""
    tokens, *several = layout(meta)
    return tokens == "full" or several != [1, 1]


def layout(meta: FeatureMeta) -> tuple[str, int, int]:
    """Say what the tokens of these features are, and of how many views and crops."""
    made = meta.preprocessing
    return meta.tokens, made.get("views", 1), made.get("crops", 1)
