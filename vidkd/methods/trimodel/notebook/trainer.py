"""Train and measure a student from a notebook: what the workflow's rules do, in one process."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pandas as pd
from torch import Tensor

from vidkd import lazy
from vidkd.artefacts import stamp
from vidkd.backbones.extract import cache_shard
from vidkd.backbones.source import network_files
from vidkd.config.backbones import BackboneSettings
from vidkd.config.data import DataSettings
from vidkd.config.teacher import TeacherSettings
from vidkd.data.label_ids import label_ids_column
from vidkd.data.tables import read_classes
from vidkd.engine.efficiency import count_parameters
from vidkd.errors import UserError
from vidkd.evaluate.classes import class_gate, run_figures
from vidkd.files import write_text
from vidkd.methods.inputs import Inputs
from vidkd.methods.needs import Needs, Network
from vidkd.methods.predict import class_columns
from vidkd.methods.teacher import fit_teacher
from vidkd.methods.train import Job, train
from vidkd.methods.trimodel.model import save
from vidkd.methods.trimodel.notebook.config import (
    TrainingArguments,
    TriModelConfig,
    checked,
    student_settings,
)
from vidkd.methods.trimodel.notebook.models import TriModelDistillationFramework
from vidkd.methods.trimodel.notebook.utils import (
    LabelledClips,
    create_data_loaders,
    digest_of,
    load_label_mappings,
    unless_made,
)
from vidkd.methods.trimodel.plan import TriModel
from vidkd.methods.trimodel.predict import load_student, run_student
from vidkd.methods.trimodel.settings import TriModelSettings
from vidkd.methods.trimodel.table import LOSSES, anomaly_precision
from vidkd.provenance import code_digest

log = logging.getLogger(__name__)

_FEATURE_BATCH = 8
"""Clips that teacher and assistant see at once when their features are cached."""


class TriModelDistillationTrainer:
    """Caches features, fits and checks the heads of teacher and assistant, and trains the student.

    Attributes:
        weights: of the student, with `config.json` and `history.csv` beside them, once it is trained.
    """

    def __init__(
        self,
        framework: TriModelDistillationFramework,
        distillation_config: TriModelConfig,
        args: TrainingArguments,
        train_dataset: LabelledClips,
        eval_dataset: LabelledClips,
    ) -> None:
        """Put together.

        Args:
            framework: the networks.
            distillation_config: the objective; of the same networks as the framework's.
            args: of the training.
            train_dataset: of `create_data_loaders`.
            eval_dataset: chooses the weights, and the gates are measured on it.

        Raises:
            UserError: the clips have other numbers of frames than the networks, or no class is called
                `normal`.
        """
        self.framework, self.config, self.args = framework, distillation_config, args
        self.train_dataset, self.eval_dataset = train_dataset, eval_dataset
        for dataset in (train_dataset, eval_dataset):
            if dataset.frames != framework.frames:
                raise UserError(
                    f"clips have {dataset.frames} frames, the networks {framework.frames}: give the same "
                    "`frames` to create_data_loaders and to the framework"
                )
        if distillation_config.normal not in (None, *framework.classes):
            raise UserError(
                f"normal: no class is called {distillation_config.normal!r}; known: "
                f"{', '.join(framework.classes)}"
            )
        self.weights = Path(args.output_dir) / "student/model.safetensors"

    @property
    def settings(self) -> TriModelSettings:
        """Of the student, as `trimodel.base` of a configuration would say them."""
        return student_settings(self.config, self.args, self.framework.frames)

    def train(self) -> dict[str, float]:
        """Train, or go on where a stopped training was; the framework has the trained student afterwards.

        Returns:
            The last row of the history: means of the loss terms, and validation.

        Raises:
            UserError: a network is refused, or the training cannot go on; see `vidkd.methods.trimodel.train`.
        """
        framework, settings, args = self.framework, self.settings, self.args
        inputs = Inputs(self._needs())
        code = code_digest(__name__, lazy.module_of(TriModel.TRAIN))
        job = Job(
            settings, inputs, self.weights.parent, args.seed, stamp(settings, inputs.files, code, args.seed),
            args.num_workers, self._about(), save_steps=args.save_steps,
        )  # fmt: skip
        train(TriModel.NAME, job)
        framework.student, _, _ = load_student(self.weights)
        save(framework.student, framework.classes, settings.eval_crop, self.weights.with_name("network"))
        return self._last_row()

    def evaluate(self, dataset: LabelledClips | None = None) -> dict[str, Any]:
        """Figures of the trained student in percent, its losses, and its size beside the other networks'.

        `result_gate` says whether it has learnt anything: where every clip gets one class, the log warns.

        Args:
            dataset: its clips; None: those that chose the weights, of which it says more than is true.

        Raises:
            UserError: there is no trained student.
        """
        dataset = dataset or self.eval_dataset
        if not self.weights.is_file():
            raise UserError(f"there is no trained student at {self.weights}: call train() first")
        student, settings, config = load_student(self.weights)
        self._check(config, dataset)
        logit_NK = run_student(student, dataset.store, settings, self.args.num_workers)
        predictions, last = _predictions(logit_NK, dataset), self._last_row()
        found, gate = run_figures(predictions, config["classes"]), class_gate(predictions)
        anomalies = anomaly_precision(predictions, config["classes"], self.config.normal)
        if not gate["passed"]:
            log.warning("the student has learnt nothing: %s", gate["reason"])
        precision = {"average_precision": found["ap"]}
        if anomalies:
            precision["average_precision_of_anomalies"] = anomalies["ap_anomaly"]
        return {
            "accuracy": found["top1"], "per_class_accuracy": found["per_class"], "f1": found["f1"],
            **precision, "clips": found["n_clips"], "largest_class": found["chance"], "result_gate": gate,
            "losses": {name: last[name] for name in LOSSES if name in last},
            "parameters": {"student": count_parameters(student), **self.framework.parameters},
            "networks": config["networks"],
        }  # fmt: skip

    def _check(self, config: Mapping[str, Any], dataset: LabelledClips) -> None:
        """Refuse a student of other settings, which an earlier training left, and clips of other classes."""
        wanted = self.settings.model_dump(mode="json") | {"size": config["settings"]["size"]}
        if (config["settings"], config["seed"]) != (wanted, self.args.seed):
            raise UserError(f"{self.weights} was trained with other settings than these: call train() first")
        if (found := read_classes(dataset.places.classes)) != config["classes"]:
            raise UserError(f"the student knows {config['classes']}, and the clips are of {found}")

    def _last_row(self) -> dict[str, float]:
        history = pd.read_csv(self.weights.with_name("history.csv"))
        return {str(name): float(value) for name, value in history.iloc[-1].items()}

    def _about(self) -> dict[str, Any]:
        """What `config.json` says of the run: where the networks came from."""
        named = {"start": self.framework.start, **self.framework.backbones}
        networks = {name: found.model_dump(mode="json") for name, found in named.items()}
        return {"method": TriModel.NAME, "run": "notebook", "networks": networks}

    def _needs(self) -> Needs:
        """What the training reads; the features and the head of a network that teaches are made first."""
        networks = {"start": _network(self.framework.start)}
        for role, backbone in self.framework.backbones.items():
            networks[role] = _network(backbone, self._head(role, backbone))
        frames = {"train": str(self.train_dataset.file), "val": str(self.eval_dataset.file)}
        return Needs(frames=frames, networks=networks, **self._labels())

    def _labels(self) -> dict[str, Any]:
        places = self.train_dataset.places
        return {"classes": str(places.classes), "labels": str(places.labels), "label": "class"}

    def _head(self, role: str, backbone: BackboneSettings) -> Path:
        """The head of the teacher or the assistant; features and head are made unless they are there."""
        stores = {"train": self.train_dataset.file, "val": self.eval_dataset.file}
        places, folder = self.train_dataset.places, Path(self.args.output_dir) / role
        shards = {split: folder / f"features/{split}.h5" for split in stores}
        gate = TeacherSettings.model_validate({"margin": self.config.margin, "head": "probe"})
        head = folder / "head/model.safetensors"

        def cache() -> None:
            for split, store in stores.items():
                cache_shard(store, role, backbone, shards[split], _FEATURE_BATCH, self.args.num_workers)

        def fit() -> None:
            features = {role: {split: str(shard) for split, shard in shards.items()}}
            fit_teacher(gate, Inputs(Needs(features=features, **self._labels())), head.parent)

        code = code_digest(__name__)
        seen = digest_of(f"{backbone} {code}", network_files(backbone), stores.values())
        unless_made(folder / "features", seen, shards.values(), cache)
        known = digest_of(f"{seen} {gate}", [places.classes, places.labels])
        unless_made(head.parent, known, [head], fit)
        return head


def train_tri_model_distillation(
    dataset_root: str | Path | None = None,
    frames: int = 16,
    data: DataSettings | None = None,
    **config: Any,
) -> tuple[TriModelDistillationFramework, TriModelDistillationTrainer, dict[str, Any]]:
    """Everything from a folder of videos to a measured student.

    Args:
        dataset_root: folder with `train.csv`, `val.csv`, `test.csv` and the videos (seed 002); None:
            `processed_dataset`, or `data.root`.
        frames: of a clip.
        data: another layout; see `load_label_mappings`.
        **config: settings of TriModelConfig and of TrainingArguments, by name.

    Returns:
        The networks, the trainer, and `results`: `evaluate` of the test videos, also in `results.json` of
        `output_dir`.

    Raises:
        UserError: a setting is unknown, or see the parts.
    """
    chosen, args = checked(config).parted()
    student_settings(chosen, args, frames)  # before anything is decoded
    if dataset_root is None and data is None:
        dataset_root = "processed_dataset"
    label2id, id2label = load_label_mappings(dataset_root, data)
    framework = TriModelDistillationFramework(chosen, len(label2id), label2id, id2label, frames)
    work_dir = Path(args.output_dir) / "data"
    loaders = create_data_loaders(
        dataset_root, framework.image_processor, label2id, args.batch_size, frames, work_dir, data
    )
    train_clips, val_clips, test_clips = (cast(LabelledClips, loader.dataset) for loader in loaders)
    trainer = TriModelDistillationTrainer(framework, chosen, args, train_clips, val_clips)
    trainer.train()
    results = trainer.evaluate(test_clips)
    write_text(Path(args.output_dir) / "results.json", json.dumps(results, indent=2) + "\n")
    return framework, trainer, results


def _network(backbone: BackboneSettings, head: Path | None = None) -> Network:
    """A network with its files, and perhaps a head."""
    files = tuple(str(file) for file in network_files(backbone))
    return Network(settings=backbone, files=files, head=None if head is None else str(head))


def _predictions(logit_NK: Tensor, dataset: LabelledClips) -> pd.DataFrame:
    columns = class_columns(dataset.store.video_ids, dataset.label_ids, logit_NK)
    columns |= label_ids_column(dataset.places.labels, dataset.store.video_ids, logit_NK.shape[1])
    return pd.DataFrame(columns)
