"""Train a small network on the source videos and write it as its library would have published it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd
import torch
from accelerate import Accelerator
from safetensors import SafetensorError

from vidkd.backbones.pretrain.captions import LOOKS
from vidkd.backbones.pretrain.method import Contrastive, Pretraining, numbers
from vidkd.backbones.pretrain.registry import build_network
from vidkd.backbones.pretrain.trainable import Trainable
from vidkd.backbones.protocol import BackboneSpec
from vidkd.config.checkpoints import PER_FRAME, CheckpointSettings
from vidkd.config.clips import ClipSettings
from vidkd.data.adapters.text import read_table
from vidkd.data.clips import ClipBatches, TrainingClips, check_clips, evaluation_loader
from vidkd.data.demo_specs import FLIP_LABELS
from vidkd.data.frames import FrameStore
from vidkd.data.tables import read_classes
from vidkd.engine.accuracy import top_k
from vidkd.engine.checkpoint import drop_state, only_run
from vidkd.engine.efficiency import count_parameters
from vidkd.engine.loop import Progress, Trainer
from vidkd.engine.optim import norm_parameters
from vidkd.engine.runtime import start
from vidkd.errors import UserError
from vidkd.files import atomic, atomic_folder, write_text
from vidkd.video.media import without_suffix

NETWORK, HISTORY, METRICS = "network", "history.csv", "metrics.json"
"""What a finished training leaves in its folder; the network is a folder itself."""


def train(
    settings: CheckpointSettings,
    annotations: Sequence[Path],
    classes_json: Path,
    train_shards: list[Path],
    val_shards: list[Path],
    run_dir: Path,
    *,
    stamp: str,
    workers: int = 0,
) -> None:
    """Train and write NETWORK, HISTORY and METRICS into `run_dir`.

    A run that was stopped goes on from its state when `stamp` (settings, code, inputs) is the same.

    Args:
        settings: the network's, and its training's.
        annotations: annotation files of the source's training and validation split.
        classes_json: names of the motions; a label id is a position in it.
        train_shards: frame stores to train on.
        val_shards: frame stores that choose the best epoch.
        run_dir: folder of the run.
        stamp: digest of all that the result depends on.
        workers: loader processes.

    Raises:
        UserError: the data cannot serve these settings, no such network can be made, or the loss diverged.
    """
    accelerator = start(settings, settings.seed)
    train_store, val_store = FrameStore(train_shards), FrameStore(val_shards)
    trainable = build_network(settings)
    clips = _clip_settings(trainable.backbone.spec)
    for store in (train_store, val_store):
        check_clips(store, settings.frames, clips, clips.frame_sampling)
    motions = read_classes(classes_json)
    data = ClipBatches(
        TrainingClips(train_store, motions, [settings.frames], clips, settings.seed),
        settings.batch_size, settings.seed, workers,
    )  # fmt: skip
    rows = {without_suffix(row["path"]): row for file in annotations for row, _ in read_table(file)}
    method = objective(settings, trainable, _described(train_store, rows), motions)
    validate = validation(settings, clips, val_store, _described(val_store, rows), accelerator, workers)
    state_dir = run_dir / ".state"
    with only_run(state_dir):
        groups = decayed_groups(method, settings)
        trainer = Trainer(
            method, groups, data, validate, settings, accelerator, settings.seed, state_dir, stamp
        )
        _write_checkpoint(run_dir, trainer.fit(), settings, trainable, method)
        drop_state(state_dir)


def _clip_settings(spec: BackboneSpec) -> ClipSettings:
    """How source videos are seen: a random square or the middle one, mirrored with its label.

    Every setting is given, because a digest of code does not cover defaults.
    """
    return ClipSettings(
        frame_sampling="segments", eval_frame_sampling="centres", frame_stride=1, size=spec.size,
        crop="multi_scale", crop_scales=(spec.crop,), crop_area=(0.08, 1.0), crop_aspect=(0.75, 4 / 3),
        eval_crop=spec.crop, flip="swap", flip_labels=FLIP_LABELS,
        rotation=0, brightness=0, contrast=0, saturation=0, hue=0,
    )  # fmt: skip


def _described(store: FrameStore, rows: Mapping[str, Mapping[str, str]]) -> list[Mapping[str, str]]:
    """Find the row of the annotation file for each video of the store.

    Raises:
        UserError: a video has none.
    """
    if lacking := [name for name in store.video_ids if name not in rows]:
        raise UserError(
            f"the annotation files do not name {lacking[0]}: give those that the frame stores were made from"
        )
    return [rows[name] for name in store.video_ids]


def objective(
    settings: CheckpointSettings,
    trainable: Trainable,
    videos: Sequence[Mapping[str, str]],
    motions: Sequence[str],
) -> Pretraining:
    """What a network of this kind is trained to do; one that sees single frames cannot know the motion."""
    looks = dict.fromkeys(LOOKS, settings.appearance)
    if settings.kind == "clip":
        return Contrastive(trainable, videos, looks, motions)
    return Pretraining(trainable, videos, looks if settings.kind in PER_FRAME else {"motion": 1.0} | looks)


def decayed_groups(method: Pretraining, settings: CheckpointSettings) -> list[dict[str, object]]:
    """All parameters, without decay on norms, biases and the other vectors."""
    norms = norm_parameters(method)
    parameters = list(method.parameters())
    plain = [p for p in parameters if p.ndim > 1 and id(p) not in norms]
    rest = [p for p in parameters if p.ndim <= 1 or id(p) in norms]
    return [{"params": plain}, {"params": rest, "weight_decay": 0.0}]


def validation(
    settings: CheckpointSettings,
    clips: ClipSettings,
    store: FrameStore,
    videos: Sequence[Mapping[str, str]],
    accelerator: Accelerator,
    workers: int,
) -> Callable[[Pretraining], tuple[float, dict[str, float]]]:
    """What the loop calls between epochs: the figure that chooses the best one, and columns of the history.

    The columns are top-1 accuracy in percent by label, of CLIP zero-shot; the figure is that of the motion,
    and of a network that sees single frames the mean of the others.
    """
    loader = evaluation_loader(store, [settings.frames], clips, settings.batch_size, workers)

    @torch.inference_mode()
    def validate(method: Pretraining) -> tuple[float, dict[str, float]]:
        method.eval()
        found: dict[str, list[torch.Tensor]] = {}
        for batch in loader:
            for label, score_BK in method.scores(batch.to(accelerator.device)).items():
                found.setdefault(label, []).append(score_BK.float().cpu())
        rows = torch.arange(len(store))
        ids = {label: numbers(videos, label, rows) for label in found if label != "motion"}
        ids["motion"] = torch.from_numpy(store.label_ids).long()
        accuracy = {label: top_k(torch.cat(parts), ids[label]) for label, parts in found.items()}
        chosen = accuracy.get("motion", sum(accuracy.values()) / len(accuracy))
        return chosen, {f"val_{label}": value for label, value in accuracy.items()}

    return validate


def _write_checkpoint(
    run_dir: Path,
    result: Progress,
    settings: CheckpointSettings,
    trainable: Trainable,
    method: Pretraining,
) -> None:
    """Write the network as it was at its best epoch, its history, and its figures on the validation split."""
    method.load_state_dict(result.best_weights)
    with atomic_folder(run_dir / NETWORK) as folder:
        try:
            trainable.save(folder)
        except SafetensorError as error:  # what a full disk is here
            raise OSError(error) from error
    with atomic(run_dir / HISTORY) as temporary:
        pd.DataFrame(result.history).to_csv(temporary, index=False)
    best = next(row for row in result.history if row["epoch"] == result.best_epoch)
    metrics = {
        "kind": settings.kind,
        "best_epoch": result.best_epoch,
        "parameters": count_parameters(trainable.backbone.network),
        "val_accuracy": {
            name.removeprefix("val_"): value for name, value in best.items() if name.startswith("val_")
        },
    }
    write_text(run_dir / METRICS, json.dumps(metrics, indent=2) + "\n")
