"""Run a trained student on the test split, beside its teacher."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from accelerate import Accelerator
from torch import Tensor
from torch.nn import functional as F

from vidkd.data.clips import check_clips, evaluation_loader
from vidkd.data.frames import FrameStore
from vidkd.data.label_ids import read_labels
from vidkd.engine.cpu import use_cpu
from vidkd.engine.run import read_config
from vidkd.engine.weights import load_covered, read_file
from vidkd.evaluate.efficiency import count_parameters, gflops
from vidkd.files import atomic, write_text
from vidkd.methods.student.encoder import EncoderSpec, build_encoder
from vidkd.methods.student.model import Seen, Student
from vidkd.methods.student.settings import StudentSettings
from vidkd.methods.student.teacher import load_head
from vidkd.methods.student.train import cached_features

BATCH_SIZE = 16


def load_student(weights: Path) -> tuple[Student, StudentSettings, dict[str, Any]]:
    """A trained student in evaluation mode, its settings and its `config.json`.

    Raises:
        UserError: `config.json` is missing beside the weights, or they do not fit it.
    """
    config = read_config(weights)
    settings = StudentSettings.model_validate(config["settings"])
    encoder = build_encoder(EncoderSpec(**config["encoder"]))
    model = Student(encoder, len(config["classes"]), settings)
    load_covered(model, read_file(weights), (), str(weights))
    return model.eval().requires_grad_(False), settings, config


def predict(
    weights: Path,
    shards: list[Path],
    labels_csv: Path,
    head: Path,
    features: list[Path],
    predictions: Path,
    efficiency: Path,
    workers: int = 0,
) -> None:
    """Write a row for each clip, and what the network costs.

    Args:
        weights: `model.safetensors` beside its `config.json`.
        shards: frame stores of the test split.
        labels_csv: label of each video.
        head: `model.safetensors` of the teacher's head.
        features: the teacher's cached features of the test split.
        predictions: csv to write: `video_id, label_id, pred, s_0, …` (`s_{label_id}`: probabilities),
            `teacher_pred`, `cosine` between the features of both where they are as wide, and `a_0, …`, the
            weight of each frame.
        efficiency: json to write: parameters, and GFLOPs (multiply-adds) of a clip.
        workers: loader processes.

    Raises:
        UserError: the network, the videos or the teacher's features cannot be used.
    """
    model, settings, config = load_student(weights)
    use_cpu(settings.cpu_threads)
    store = FrameStore(shards)
    check_clips(store, settings.frames, settings, settings.eval_frame_sampling)
    seen = see(model, store, settings, workers)
    taught_ND = cached_features(head, features, store.video_ids)
    columns: dict[str, Any] = {
        "video_id": store.video_ids,
        "label_id": read_labels(labels_csv, store.video_ids, len(config["classes"])),
        "pred": seen.logits.argmax(1).numpy(),
    }
    columns |= {f"s_{k}": column.numpy() for k, column in enumerate(seen.logits.softmax(1).T)}
    columns["teacher_pred"] = load_head(head)(taught_ND[:, None]).logits.argmax(1).numpy()
    if taught_ND.shape[1] == seen.features.shape[1]:
        columns["cosine"] = F.cosine_similarity(seen.features, taught_ND, dim=1).numpy()
    columns |= {f"a_{t}": column.numpy() for t, column in enumerate(seen.attention.T)}
    with atomic(predictions) as temporary:
        pd.DataFrame(columns).to_csv(temporary, index=False, float_format="%.6g")
    cost = {"params": count_parameters(model), "gflops": gflops(model, settings.frames, settings.size)}
    write_text(efficiency, json.dumps(cost, indent=2) + "\n")


@torch.inference_mode()
def see(model: Student, store: FrameStore, settings: StudentSettings, workers: int) -> Seen:
    """What a student makes of every clip of the store, in order, in float32 and on the CPU."""
    device = Accelerator().device
    model = model.to(device)
    found: list[Sequence[Tensor]] = []
    for batch in evaluation_loader(store, [settings.frames], settings, BATCH_SIZE, workers):
        found.append([part.float().cpu() for part in model(batch.to(device).clips[settings.frames])])
    return Seen(*(torch.cat(parts) for parts in zip(*found, strict=True)))
