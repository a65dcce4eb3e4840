"""A small experiment on rendered videos: a teacher of transformers, an assistant as AMD saves it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import transformers

from tests.backbones.checkpoints import CROP, MEAN, SIZE, STD, settings_of
from tests.methods.student.taught import CLASSES, COUNTS, write_frames, write_labels
from vidkd.backbones.extract import cache_shard
from vidkd.backbones.pretrain.registry import build_network
from vidkd.config.backbones import BackboneSettings
from vidkd.config.checkpoints import CheckpointSettings
from vidkd.config.data import FrameSettings
from vidkd.config.teacher import TeacherSettings
from vidkd.methods.inputs import Inputs
from vidkd.methods.needs import Needs, Network
from vidkd.methods.predict import Predicted
from vidkd.methods.teacher import fit_teacher
from vidkd.methods.train import Job, train
from vidkd.methods.trimodel.predict import export, predict
from vidkd.methods.trimodel.settings import TriModelSettings

FRAMES = 4
GATE = TeacherSettings(head="probe", margin=3, l2=(1e-3, 1e-2, 1e-1))
STUDENT = TriModelSettings(
    backbone="teacher", epochs=2, batch_size=12, lr=1e-3, warmup_epochs=0, frames=FRAMES,
    crop_scales=(0.8, 1.0), hidden_layers_to_align=(-1, -2),
)  # fmt: skip


@dataclass(frozen=True)
class Assisted:
    """Files below a folder."""

    root: Path

    @property
    def backbones(self) -> dict[str, BackboneSettings]:
        return {
            name: settings_of("videomae", self.root / name, frames=FRAMES)
            for name in ("teacher", "assistant")
        }

    def frames(self, split: str) -> list[Path]:
        return [self.root / f"frames/{split}/shard_0.h5"]

    def features(self, name: str, split: str) -> list[Path]:
        return [self.root / f"features/{name}/{split}/shard_0.h5"]

    def head(self, name: str, label: str = "colour") -> Path:
        return self.root / "heads" / label / name / "model.safetensors"

    def needs(
        self,
        label: str = "colour",
        roles: Sequence[str] = ("teacher", "assistant"),
        *,
        marked_only: bool = False,
    ) -> Needs:
        """What a training reads, but for the network that it starts from."""
        networks = {
            role: Network(settings=self.backbones[role], head=str(self.head(role, label))) for role in roles
        }
        frames = {split: str(self.frames(split)[0]) for split in ("train", "val")}
        return Needs(frames=frames, networks=networks, marked_only=marked_only, **self.listed(label))

    def listed(self, label: str) -> dict[str, str]:
        files = {"classes": self.root / f"{label}.json", "labels": self.root / f"{label}.csv"}
        return {name: str(file) for name, file in files.items()} | {"label": label}

    def fit(self, name: str, label: str = "colour") -> dict[str, object]:
        """Make a head; its metrics."""
        gate = GATE if label == "colour" else GATE.model_copy(update={"margin": 30.0})
        features = {name: {split: str(self.features(name, split)[0]) for split in COUNTS}}
        head = self.head(name, label)
        fit_teacher(gate, Inputs(Needs(features=features, **self.listed(label))), head.parent)
        metrics: dict[str, object] = json.loads(head.with_name("metrics.json").read_text())
        return metrics

    def train(self, run_dir: Path, settings: TriModelSettings = STUDENT, needs: Needs | None = None) -> Path:
        """Train a student; its weights."""
        needs = needs or self.needs()
        start = {"start": Network(settings=self.backbones["teacher"])} if settings.backbone else {}
        needs = needs.model_copy(update={"networks": start | needs.networks})
        train("trimodel", Job(settings, Inputs(needs), run_dir, seed=0, stamp="a", about={"run": "small"}))
        return run_dir / "model.safetensors"

    def predict(self, weights: Path) -> Predicted:
        """What a student predicts of the test videos."""
        results = {role: (str(self.head(role).with_name("predictions.csv")),) for role in self.backbones}
        frames, trained = {"test": str(self.frames("test")[0])}, {"student": (str(weights),)}
        needs = Needs(frames=frames, weights=trained, results=results, **self.listed("colour"))
        return predict(Inputs(needs), {}, 0)


def exported(weights: Path, folder: Path) -> transformers.VideoMAEForVideoClassification:
    """The student as transformers loads it from its exported folder."""
    export(Inputs(Needs(weights={"small": (str(weights),)})), FrameSettings(), folder)
    return transformers.VideoMAEForVideoClassification.from_pretrained(folder).eval()


def changed(settings: TriModelSettings = STUDENT, **changes: object) -> TriModelSettings:
    return TriModelSettings.model_validate({**settings.model_dump(), **changes})


def make_teacher(folder: Path, layers: int = 3, patch: int = 8) -> None:
    """VideoMAE of transformers with a norm after its last layer, as a pre-trained one."""
    torch.manual_seed(1)
    config = transformers.VideoMAEConfig(
        image_size=SIZE, patch_size=patch, num_frames=FRAMES, use_mean_pooling=False, hidden_size=48,
        num_hidden_layers=layers, num_attention_heads=2, intermediate_size=96, initializer_range=0.1,
    )  # fmt: skip
    transformers.VideoMAEModel(config).save_pretrained(folder)
    transformers.VideoMAEImageProcessor(**CROP, image_mean=MEAN, image_std=STD).save_pretrained(folder)


def make_assistant(folder: Path, patch: int = 8) -> None:
    """VideoMAE in the layout of AMD's files; of another width and depth than the teacher."""
    torch.manual_seed(2)
    settings = CheckpointSettings(
        kind="videomae", layout="original", size=SIZE, patch=patch, frames=FRAMES, width=32, layers=6,
        heads=4, crop=1,
    )  # fmt: skip
    save_amd(settings, folder)


def save_amd(settings: CheckpointSettings, folder: Path) -> None:
    """A random network with biases as any trained one has: zeros are refused."""
    network = build_network(settings)
    with torch.no_grad():
        for name, value in network.backbone.network.named_parameters():
            if name.endswith("bias"):
                value.normal_(std=0.02)
    network.save(folder)


def make(root: Path) -> Assisted:
    """Everything up to the heads."""
    make_teacher(root / "teacher")
    make_assistant(root / "assistant")
    made = Assisted(root)
    rows = [row for split in COUNTS for row in write_frames(made.frames(split)[0], split)]
    write_labels(root, rows)
    for name, backbone in made.backbones.items():
        for split in COUNTS:
            cache_shard(made.frames(split)[0], name, backbone, made.features(name, split)[0])
        for label in CLASSES:
            made.fit(name, label)
    return made
