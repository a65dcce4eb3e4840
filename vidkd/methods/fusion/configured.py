"""What a configuration gives to a fusion head trained by hand: networks, caches, frames, converters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vidkd.backbones.live import live_splits
from vidkd.backbones.registry import module_of
from vidkd.config.backbones import BackboneSettings
from vidkd.config.data import SPLITS
from vidkd.config.load import load_settings
from vidkd.config.problems import nearest
from vidkd.config.settings import Settings
from vidkd.data.frames import find_shards
from vidkd.errors import UserError
from vidkd.features.splits import open_splits
from vidkd.features.store import find_feature_shards
from vidkd.methods.converters.load import converter_config
from vidkd.methods.fusion.given import Given, files_of
from vidkd.methods.fusion.settings import FusionSettings
from vidkd.methods.fusion.sources import Splits
from vidkd.paths import Paths
from vidkd.provenance import ROOT


@dataclass(frozen=True)
class Configured:
    """A configuration, and where its results are."""

    settings: FusionSettings
    cfg: Settings
    paths: Paths
    student: str

    @classmethod
    def read(
        cls, dataset: str, root: str | None, student: str | None, settings: FusionSettings
    ) -> Configured:
        """The configuration of a data set; what is given of settings wins over its recipe."""
        cfg = load_settings(_file_of(dataset))
        student = student or cfg.converters.student
        if student is None:
            raise UserError(
                f"--dataset {dataset}: its configuration has no converters.student: give --student"
            )
        values = cfg.fusion.base.model_dump() | settings.model_dump(exclude_unset=True)
        if values["teachers"] is None:
            values["teachers"] = cfg.converters.teachers
        whole = FusionSettings.model_validate(values)
        known = list(cfg.backbones)
        for name in (student, *(whole.teachers or ())):
            if name not in known:
                raise UserError(f"{dataset} has no backbone {name!r}; {nearest(name, known)}")
        return cls(whole, cfg, Paths(root or cfg.results_dir), student)

    def given(self, converters: Sequence[str], classes: Path | None, seed: int, cached: bool) -> Given:
        """Open the features, from caches or from frames."""
        real = self.settings.features == "real"
        teachers = self.settings.teachers or ()
        weights = {} if real else self._weights(converters, teachers, seed)
        opened = self._caches if cached else self._live
        features: dict[str, Splits] = {}
        read: dict[str, list[Path]] = {split: [] for split in SPLITS}
        for name in (self.student, *(teachers if real else ())):
            features[name], files = opened(name)
            for split in SPLITS:
                read[split] += files[split]
        if cached and not self.settings.finetune_converters:
            for name, path in weights.items():
                if files := _converted(path):
                    features[name] = open_splits(files)
                    for split in SPLITS:
                        read[split] += files[split]
        classes = classes or Path(self.paths.classes)
        names = () if cached else (self.student, *(teachers if real else ()))
        return Given(
            self.settings, self.student, features, weights, classes,
            [*read["train"], *read["val"], *files_of(weights), classes], read["test"],
            [__name__, *(module_of(self.cfg.backbones[name].kind) for name in names)],
        )  # fmt: skip

    def _caches(self, name: str) -> tuple[Splits, Mapping[str, list[Path]]]:
        pattern = self.paths.features
        folders = {s: Path(pattern.format(backbone=name, split=s, shard=0)).parent for s in SPLITS}
        shards = {split: find_feature_shards([folder]) for split, folder in folders.items()}
        return open_splits(shards), shards

    def _live(self, name: str) -> tuple[Splits, Mapping[str, list[Path]]]:
        folders = {split: Path(self.paths.frames.format(split=split, shard=0)).parent for split in SPLITS}
        shards = {split: find_shards([folder]) for split, folder in folders.items()}
        settings, batch = self._backbone(name), self.cfg.compute.batch
        return live_splits(shards, settings, name, batch), shards

    def _backbone(self, name: str) -> BackboneSettings:
        """The settings of a backbone; one that is trained here is a folder like any other."""
        used = self.cfg.backbones[name]
        if used.checkpoint is None:
            return used
        folder = self.paths.checkpoint_network.format(checkpoint=used.checkpoint)
        return used.model_copy(update={"checkpoint": None, "folder": folder})

    def _weights(self, given: Sequence[str], teachers: Sequence[str], seed: int) -> dict[str, Path]:
        """The converter of each teacher: a file of its own, or that of this seed below a prefix."""
        files = [Path(text) for text in given if Path(text).is_file()]
        found = {str(converter_config(file)["teacher"]): file for file in files}
        prefixes = [text for text in given if not Path(text).is_file()]
        default = self.paths.converters.weights
        for teacher in teachers:
            if teacher in found:
                continue
            places = [
                f"{prefix.rstrip('/')}.{teacher}/seed{seed}/model.safetensors" for prefix in prefixes
            ] or [default.format(converter=self.settings.converter, teacher=teacher, seed=seed)]
            if (there := next((Path(place) for place in places if Path(place).is_file()), None)) is None:
                raise UserError(
                    f"there is no converter to {teacher}: {places[0]} does not exist. Run train_converter, "
                    "or name its model.safetensors with --converters"
                )
            found[teacher] = there
        return found


def _file_of(dataset: str) -> Path:
    if dataset.endswith(".yaml"):
        return Path(dataset)
    known = {"demo": ROOT / "config/config.yaml"}
    known |= {file.stem: file for file in sorted((ROOT / "config/experiments").glob("*.yaml"))}
    if dataset not in known:
        raise UserError(
            f"--dataset {dataset}: there is no such configuration; {nearest(dataset, list(known))}"
        )
    return known[dataset]


def _converted(weights: Path) -> dict[str, list[Path]]:
    """What this converter made of the student's features, where that is cached of every split."""
    files = {split: weights.parent / "features" / split / "shard_0.h5" for split in SPLITS}
    there = all(file.is_file() for file in files.values())
    return {split: [file] for split, file in files.items()} if there else {}
