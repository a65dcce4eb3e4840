"""Small caches of a student and two teachers in which a class can be seen, converters, and heads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.data.feature_files import META
from tests.methods.converters.cached import COUNTS, Shards, inputs_of, video_ids, write_split
from tests.methods.converters.trained import trained
from tests.methods.probes.cached import CLASSES, label_of
from vidkd.config.data import SPLITS
from vidkd.features.batches import FeatureJoin
from vidkd.features.meta import FeatureMeta
from vidkd.methods.converters.convert import convert
from vidkd.methods.converters.settings import ConverterSettings
from vidkd.methods.fusion.predict import open_test
from vidkd.methods.fusion.settings import FusionSettings
from vidkd.methods.fusion.sources import FusionInputs, open_inputs
from vidkd.methods.inputs import Inputs
from vidkd.methods.predict import predict
from vidkd.methods.train import Job, train

SHAPES = {"vjepa2": (4, 6), "videomae": (8, 5), "vivit": (4, 7)}
STUDENT, *TEACHERS = SHAPES
METAS = {
    name: replace(META, backbone=name, dtype="float32", weights_sha256=sha * 32)
    for name, sha in (("vjepa2", "ab"), ("videomae", "ef"), ("vivit", "12"))
}
SMALL = FusionSettings(
    epochs=2, batch_size=16, width=8, teachers=tuple(TEACHERS), sweep={"lr": [3e-3, 1e-3]}, warmup_epochs=0
)
CONVERTER = ConverterSettings(epochs=2, batch_size=32, width=8, layers=1, dropout=0.1)


def feature_of(backbone: str, video_id: str) -> np.ndarray:
    """Tokens (N, D) around a place that the class and the video decide, seen by a network."""
    steps, width = SHAPES[backbone]
    network = np.random.default_rng(list(backbone.encode()))
    video = np.random.default_rng(list(video_id.encode()))
    own = np.random.default_rng(list(f"{backbone} {video_id}".encode()))
    shown = np.concatenate([np.eye(len(CLASSES))[label_of(video_id)] * 2, video.normal(size=3)])
    seen = shown @ network.normal(size=(len(shown), width)) + 3
    return (seen + 0.7 * own.normal(size=(steps, width))).astype(np.float32)


def cache_of(
    folder: Path, name: str, n_shards: int = 2, meta: FeatureMeta | None = None
) -> dict[str, list[Path]]:
    """Shards of one network, by split."""
    return {
        split: write_split(
            folder / name / split, name, video_ids(split), n_shards, meta or METAS[name], feature_of
        )
        for split in COUNTS
    }


@dataclass
class Made:
    """What heads are made from: real and converted features, converters, and class names."""

    real: Shards
    converted: Shards
    converters: dict[str, Path]
    classes: Path

    @classmethod
    def below(cls, folder: Path) -> Made:
        """What `make` has put into a folder."""
        real = {
            name: {split: sorted((folder / name / split).glob("shard_*.h5")) for split in SPLITS}
            for name in SHAPES
        }
        runs = {name: folder / f"converters/small.{name}/seed0" for name in TEACHERS}
        converted = {
            name: {split: [run_dir / f"features/{split}/shard_0.h5"] for split in SPLITS}
            for name, run_dir in runs.items()
        }
        weights = {name: run_dir / "model.safetensors" for name, run_dir in runs.items()}
        return cls(real, converted, weights, folder / "classes.json")

    def shards(self, settings: FusionSettings) -> Shards:
        """What `settings` need of the caches."""
        teachers = settings.teachers or ()
        found = {STUDENT: self.real[STUDENT]} if settings.student or settings.finetune_converters else {}
        of = self.real if settings.features == "real" else self.converted
        return found | ({} if settings.finetune_converters else {name: of[name] for name in teachers})

    def inputs(
        self,
        settings: FusionSettings = SMALL,
        shards: Shards | None = None,
        converters: Mapping[str, Path] | None = None,
    ) -> Inputs:
        """What a head is given; converters where it trains on them."""
        if converters is None:
            converters = self.converters if settings.finetune_converters else {}
        given = {STUDENT: {}} | (shards or self.shards(settings))
        return inputs_of(given, converters, classes=str(self.classes))

    def open(
        self,
        settings: FusionSettings = SMALL,
        shards: Shards | None = None,
        converters: Mapping[str, Path] | None = None,
    ) -> FusionInputs:
        """The same, opened."""
        return open_inputs(settings, self.inputs(settings, shards, converters))


def make(folder: Path, n_shards: int = 2) -> Made:
    """All of it; converters are trained on what they are given, briefly."""
    real = {name: cache_of(folder, name, n_shards) for name in SHAPES}
    (folder / "classes.json").write_text(json.dumps(CLASSES))
    made = Made.below(folder)
    for name, weights in made.converters.items():
        trained(real, weights.parent, CONVERTER, teacher=name)
        convert_all(weights, real[STUDENT], {split: file for split, (file,) in made.converted[name].items()})
    return made


def convert_all(weights: Path, student: Mapping[str, list[Path]], outputs: Mapping[str, Path]) -> None:
    """Cache what a converter makes of the student's features."""
    convert(inputs_of({STUDENT: student}, {"converter": weights}), outputs)


def changed(**settings: Any) -> FusionSettings:
    return FusionSettings.model_validate(SMALL.model_dump() | settings)


def run(inputs: Inputs, folder: Path, settings: FusionSettings = SMALL, seed: int = 0) -> Path:
    """A trained head that has predicted the test split."""
    about = {"method": "fusion", "run": "small"}
    train("fusion", Job(settings, inputs, folder, seed, "a", about=about))
    predict("fusion", with_head(inputs, folder), {}, folder / "predictions.csv", folder / "efficiency.json")
    return folder


def with_head(inputs: Inputs, folder: Path) -> Inputs:
    """What a head was trained on, and itself."""
    weights = inputs.needs.weights | {"head": (str(folder / "model.safetensors"),)}
    return Inputs(inputs.needs.model_copy(update={"weights": weights}))


def features_to_test(inputs: Inputs, folder: Path) -> FeatureJoin:
    """The test features of a head."""
    return open_test(folder / "model.safetensors", inputs)
