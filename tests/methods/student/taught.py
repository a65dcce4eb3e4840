"""A small experiment on rendered videos: a random CLIP, its caches, its heads, and a student."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import vidkd.torchvision_ops  # noqa: F401 - must come before torchvision, which open_clip imports

# isort: split

import open_clip
from open_clip.push_to_hf_hub import save_config_for_hf

from tests.backbones.checkpoints import CLIP_CONFIG, MEAN, SIZE, STD, make_timm, settings_of
from vidkd.backbones.extract import cache_shard
from vidkd.config.backbones import BackboneSettings
from vidkd.config.data import DemoSettings, FrameSettings
from vidkd.config.teacher import TeacherSettings
from vidkd.data.demo import generate_split
from vidkd.data.demo_drawing import render
from vidkd.data.demo_specs import COLOURS, MOTIONS, video_spec
from vidkd.data.extract import extract_shard
from vidkd.data.frame_writer import StoredClip, frame_writer
from vidkd.methods.inputs import Inputs
from vidkd.methods.needs import Needs, Network
from vidkd.methods.predict import predict
from vidkd.methods.student.settings import StudentSettings
from vidkd.methods.teacher import fit_teacher
from vidkd.methods.train import Job, train

COUNTS = {"train": 120, "val": 48, "test": 30}
FRAMES = FrameSettings(per_video=8, short_side=40, encoding="raw")
DEMO = DemoSettings(frames=8, size=40)
CLASSES = {"colour": sorted(COLOURS), "motion": sorted(MOTIONS)}
TEACHER = TeacherSettings(margin=3, l2=(1e-3, 1e-2, 1e-1))
STUDENT = StudentSettings(
    backbone="timm", epochs=2, batch_size=12, lr=1e-3, frames=4, size=32, width=24, crop_scales=(0.8, 1.0),
    flip="plain",
)  # fmt: skip
CE = {"alpha": 0, "beta": 0, "gamma": 1}
"""Changes of STUDENT that leave labels alone."""
MARKED = 60
"""Training videos that are marked as labelled."""


def changed(**changes: object) -> StudentSettings:
    return StudentSettings.model_validate(STUDENT.model_dump() | changes)


@dataclass(frozen=True)
class Taught:
    """Files below a folder.

    Attributes:
        root: of everything.
        clip: the teacher.
        start: what the student starts from.
    """

    root: Path
    clip: BackboneSettings
    start: BackboneSettings

    def frames(self, split: str) -> list[Path]:
        return [self.root / f"frames/{split}/shard_0.h5"]

    def features(self, split: str) -> list[Path]:
        return [self.root / f"features/{split}/shard_0.h5"]

    def classes(self, label: str = "colour") -> Path:
        return self.root / f"{label}.json"

    def labels(self, label: str = "colour") -> Path:
        return self.root / f"{label}.csv"

    def head(self, label: str = "colour") -> Path:
        return self.root / "teacher" / label / "model.safetensors"

    def needs(self, label: str = "colour", head: str | None = None, **changes: object) -> Needs:
        """What a training, a prediction or a head reads, for a label; `head` is that of another label."""
        splits = ("train", "val", "test")
        teacher = Network(settings=self.clip, head=str(self.head(head or label)))
        given = {
            "frames": {split: str(*self.frames(split)) for split in splits},
            "features": {"clip": {split: str(*self.features(split)) for split in splits}},
            "classes": str(self.classes(label)), "labels": str(self.labels(label)), "label": label,
            "networks": {"start": Network(settings=self.start), "teacher": teacher},
        }  # fmt: skip
        return Needs.model_validate(given | changes)

    def with_features(self, split: str, shards: list[Path]) -> Needs:
        """The same with other features of a split."""
        needs = self.needs()
        return needs.model_copy(update={"features": {"clip": needs.features["clip"] | {split: str(*shards)}}})

    def another_clip(self, folder: Path) -> BackboneSettings:
        """A CLIP of other weights, whose features of images are the same."""
        shutil.copytree(self.root / "clip", folder)
        weights = load_file(folder / "open_clip_model.safetensors")
        weights["logit_scale"] += 1
        save_file(weights, folder / "open_clip_model.safetensors")
        return clip_in(folder)

    def cached_by_another_clip(self, split: str, folder: Path) -> list[Path]:
        """Its features of the videos of a split."""
        shard = folder / f"{split}.h5"
        cache_shard(self.frames(split)[0], "other", self.another_clip(folder / "other"), shard)
        return [shard]

    def relabel(self, change: Callable[[str, str, str, str], tuple[str, ...]]) -> None:
        """Change each line of the colours: name, label id, mark, and all label ids."""
        header, *lines = self.labels().read_text().splitlines()
        rows = [",".join(change(*line.split(","))) for line in lines]
        self.labels().write_text("\n".join([header, *rows]) + "\n")

    def fit(
        self,
        label: str = "colour",
        settings: TeacherSettings = TEACHER,
        *,
        marked_only: bool = False,
        clip: BackboneSettings | None = None,
    ) -> dict[str, object]:
        """Make a head; its metrics."""
        networks = {"teacher": Network(settings=clip or self.clip)}
        needs = self.needs(label, marked_only=marked_only, networks=networks)
        fit_teacher(settings, Inputs(needs), self.head(label).parent)
        metrics: dict[str, object] = json.loads(self.head(label).with_name("metrics.json").read_text())
        return metrics

    def train(
        self,
        run_dir: Path,
        settings: StudentSettings = STUDENT,
        needs: Needs | None = None,
        *,
        run: str = "small",
        seed: int = 0,
        workers: int = 0,
    ) -> Path:
        """Train a student; its weights."""
        about = {"method": "student", "run": run}
        train("student", Job(settings, Inputs(needs or self.needs()), run_dir, seed, "a", workers, about))
        return run_dir / "model.safetensors"

    def predict(self, weights: Path, features: list[Path] | None = None) -> Path:
        """Predict the test split with a student; its `predictions.csv`."""
        needs = self.needs() if features is None else self.with_features("test", features)
        found = {"student": (str(weights),), "head": (str(self.head()),)}
        predictions, efficiency = (weights.with_name(name) for name in ("predictions.csv", "efficiency.json"))
        given = Inputs(needs.model_copy(update={"weights": found}))
        predict("student", given, {}, predictions, efficiency)
        return predictions


def make_clip(folder: Path) -> None:
    """A CLIP as open_clip begins it, which sees colours; scrambled ones see nothing."""
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    network = open_clip.model.CLIP(**CLIP_CONFIG).eval()
    save_file(network.state_dict(), folder / "open_clip_model.safetensors")
    open_clip.model.set_model_preprocess_cfg(network, {"size": SIZE, "mean": MEAN, "std": STD})
    save_config_for_hf(network, folder / "open_clip_config.json", model_config=CLIP_CONFIG)


def open_clips_own(folder: Path) -> nn.Module:
    """The same network as open_clip itself loads it."""
    network: nn.Module = open_clip.create_model(f"local-dir:{folder}").eval()
    return network


def write_frames(path: Path, split: str, settings: FrameSettings = FRAMES) -> list[dict[str, str]]:
    """A frame store of rendered videos; what each shows."""
    rows = []
    with frame_writer(path, settings, "rendered, not decoded") as writer:
        for index in range(COUNTS[split]):
            spec = video_spec(DEMO, split, index)
            order = np.arange(8, dtype=np.int32)
            label = CLASSES["motion"].index(spec.motion)
            clip = StoredClip(spec.video_id, label, order, order / 8.0, padded=False, size=(40, 40))
            writer.add(clip, [frame.tobytes() for frame in render(spec)])
            marked = split != "train" or index < MARKED
            rows.append({"video_id": spec.video_id, "colour": spec.colour, "motion": spec.motion,
                         "labelled": str(marked).lower()})  # fmt: skip
    return rows


def write_labels(root: Path, rows: list[dict[str, str]]) -> None:
    for label, classes in CLASSES.items():
        (root / f"{label}.json").write_text(json.dumps(classes))
        with (root / f"{label}.csv").open("w", newline="") as stream:
            table = csv.DictWriter(stream, ["video_id", "label_id", "labelled", "label_ids"])
            table.writeheader()
            for row in rows:
                label_id = classes.index(row[label])
                table.writerow(
                    {"video_id": row["video_id"], "label_id": label_id, "labelled": row["labelled"],
                     "label_ids": label_id}
                )  # fmt: skip


def make(root: Path) -> Taught:
    """Everything up to the heads."""
    made = _networks(root)
    rows = [row for split in COUNTS for row in write_frames(made.frames(split)[0], split)]
    write_labels(root, rows)
    for split in COUNTS:
        cache_shard(made.frames(split)[0], "clip", made.clip, made.features(split)[0])
    for label in CLASSES:
        made.fit(label)
    return made


def film(root: Path, encoding: str) -> Taught:
    """The same on real H.264 files, whose frames are stored (raw) or decoded whenever asked for (none)."""
    made, rows = _networks(root), []
    settings = DEMO.model_copy(update=COUNTS)
    for split in COUNTS:
        generate_split(settings, split, root / "videos" / split, root / f"videos/{split}.csv")
        shown = list(csv.DictReader((root / f"videos/{split}.csv").open()))
        rows += [row | {"video_id": row["path"].rpartition(".")[0]} for row in shown]
        probe = root / f"{split}.csv"
        with probe.open("w", newline="") as stream:
            table = csv.writer(stream)
            table.writerow(["video_id", "path", "split", "label_id", "status", "frames"])
            for row in shown:
                table.writerow([row["path"].rpartition(".")[0], row["path"], split, 0, "ok", DEMO.frames])
        frames = FRAMES.model_copy(update={"encoding": encoding})
        extract_shard(probe, split, root / "videos", made.frames(split)[0], frames)
        cache_shard(made.frames(split)[0], "clip", made.clip, made.features(split)[0])
    write_labels(root, rows)
    made.fit()
    return made


def _networks(root: Path) -> Taught:
    make_clip(root / "clip")
    make_timm(root / "timm")
    return below(root)


def below(root: Path) -> Taught:
    """What `make` made, in a copy of its folder."""
    return Taught(root, clip_in(root / "clip"), settings_of("timm", root / "timm"))


def clip_in(folder: Path) -> BackboneSettings:
    return settings_of("clip", folder).model_copy(update={"frames": 4})
