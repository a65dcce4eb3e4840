"""A small experiment on real videos: encoded, decoded, cached, converted and fused, each by its own code."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.backbones.checkpoints import make_timesformer, make_videomae, make_vjepa2, settings_of
from tests.data.videos import write_video
from tests.methods.converters.cached import inputs_of
from tests.methods.converters.trained import trained
from tests.methods.fusion.cached import run
from vidkd.backbones.extract import cache_shard
from vidkd.config.backbones import BackboneSettings
from vidkd.config.data import FrameSettings
from vidkd.data.extract import extract_shard
from vidkd.methods.converters.convert import convert
from vidkd.methods.converters.settings import ConverterSettings
from vidkd.methods.fusion.export import export
from vidkd.methods.fusion.settings import FusionSettings
from vidkd.methods.inputs import Inputs
from vidkd.methods.needs import Network

CLASSES = ["ant", "bee", "cat"]
COUNTS = {"train": 18, "val": 6, "test": 7}
STUDENT, TEACHERS = "vjepa2", ("videomae", "timesformer")
MAKERS = {"vjepa2": make_vjepa2, "videomae": make_videomae, "timesformer": make_timesformer}
WEIGHTS = "model.safetensors"
FRAMES = FrameSettings(per_video=12, short_side=40, encoding="raw")
CONVERTERS = ConverterSettings(epochs=2, batch_size=6, width=16, layers=1)
FUSION = FusionSettings(epochs=2, batch_size=6, width=16, teachers=TEACHERS, sweep={"lr": (1e-2, 1e-3)})


@dataclass(frozen=True)
class Filmed:
    """Videos, networks and converters, and caches that are made when they are asked for.

    Attributes:
        root: of everything; videos are below `videos`.
        backbones: of the student and its teachers.
        frames: frame store by split.
        converters: weights by teacher.
    """

    root: Path
    backbones: dict[str, BackboneSettings]
    frames: dict[str, Path]
    converters: dict[str, Path]

    @property
    def classes(self) -> Path:
        return self.root / "data/classes.json"

    def cached(self, name: str, dtype: str = "float32") -> dict[str, list[Path]]:
        """Feature shards of a network, by split."""
        settings = self.backbones[name].model_copy(update={"fp16": dtype == "float16"})
        files = {split: self.root / f"{dtype}/{name}/{split}/shard_0.h5" for split in COUNTS}
        for split, file in files.items():
            if not file.exists():
                cache_shard(self.frames[split], name, settings, file, batch=5)
        return {split: [file] for split, file in files.items()}

    def converted(self, name: str, dtype: str = "float32") -> dict[str, list[Path]]:
        """Shards of converted features, by split."""
        files = {split: self.root / f"{dtype}/to_{name}/{split}/shard_0.h5" for split in COUNTS}
        if not all(file.exists() for file in files.values()):
            given = inputs_of({STUDENT: self.cached(STUDENT, dtype)}, {"converter": self.converters[name]})
            convert(given, files)
        return {split: [file] for split, file in files.items()}

    def caches(self, dtype: str = "float32") -> dict[str, dict[str, list[Path]]]:
        """What a head of converted features is trained on."""
        converted = {name: self.converted(name, dtype) for name in TEACHERS}
        return {STUDENT: self.cached(STUDENT, dtype), **converted}

    def fuse(
        self,
        run_dir: Path,
        caches: Mapping[str, Mapping[str, list[Path]]],
        settings: FusionSettings = FUSION,
        converters: Mapping[str, Path] | None = None,
    ) -> Path:
        """Train a head on caches; its weights."""
        inputs = inputs_of({STUDENT: {}} | dict(caches), converters, classes=str(self.classes))
        return run(inputs, run_dir, settings) / "model.safetensors"

    def fuse_live(
        self,
        run_dir: Path,
        names: Sequence[str],
        settings: FusionSettings = FUSION,
        converters: Mapping[str, Path] | None = None,
    ) -> Path:
        """Train a head on frames that these networks see; its weights."""
        networks = {name: Network(settings=self.backbones[name]) for name in names}
        frames = {split: str(file) for split, file in self.frames.items()}
        more = {"classes": str(self.classes), "networks": networks, "frames": frames}
        return run(inputs_of({name: {} for name in names}, converters, **more), run_dir, settings) / WEIGHTS

    def fuse_cached(self, run_dir: Path, settings: FusionSettings = FUSION, dtype: str = "float32") -> Path:
        """Train a head on caches; its weights."""
        return self.fuse(run_dir, self.caches(dtype), settings)

    def export(
        self, weights: Path, folder: Path, frames: FrameSettings | None = None, **changes: Any
    ) -> None:
        """Export a head with its student and converters, or with others."""
        student = Network(settings=changes.get("student", self.backbones[STUDENT]))
        converters = changes.get("converters", self.converters)
        given = inputs_of({}, {"head": weights, **converters}, networks={"student": student})
        export(given, frames or FRAMES, folder)

    def to_compare(self, bundle: Path, run_dir: Path, dtype: str = "float32", **changes: Any) -> Inputs:
        """What the comparison of both modes reads."""
        caches = changes.get("caches", self.caches(dtype))
        frames = {"test": str(changes.get("frames", self.frames["test"]))}
        results = {"bundle": (str(bundle),)}
        return inputs_of(caches, {"head": run_dir / WEIGHTS}, frames=frames, results=results)

    def of_the_test_split(self) -> list[Path]:
        """In the order of the store."""
        return [self.root / f"videos/test_{number:02}.mp4" for number in range(COUNTS["test"])]


def film(root: Path) -> Filmed:
    """Everything up to the converters."""
    (root / "data").mkdir(parents=True)
    (root / "data/classes.json").write_text(json.dumps(CLASSES))
    backbones = {}
    for name, make in MAKERS.items():
        make(root / "networks" / name)
        backbones[name] = settings_of(name, root / "networks" / name)
    made = Filmed(root, backbones, {split: _frames(root, split) for split in COUNTS}, {})
    for teacher in TEACHERS:
        run_dir = root / "converters" / teacher
        shards = {name: made.cached(name) for name in (STUDENT, teacher)}
        made.converters[teacher] = trained(shards, run_dir, CONVERTERS, teacher=teacher)
    return made


def _frames(root: Path, split: str) -> Path:
    """A frame store of videos, no two of a split as long: they show other frames."""
    rows = [["video_id", "path", "split", "label_id", "status", "frames"]]
    for number in range(COUNTS[split]):
        name, frames = f"{split}_{number:02}", 9 + 7 * number + len(split)
        write_video(root / f"videos/{name}.mp4", frames, g="6")
        rows.append([name, f"{name}.mp4", split, str(number % len(CLASSES)), "ok", str(frames)])
    probe = root / f"{split}.csv"
    with probe.open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    output = root / f"frames/{split}/shard_0.h5"
    extract_shard(probe, split, root / "videos", output, FRAMES)
    return output
