"""Run a trained student on the test split, beside its teacher and its assistant."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from accelerate import Accelerator
from torch import Tensor

from vidkd.data.clips import check_clips, evaluation_loader
from vidkd.data.frames import FrameStore
from vidkd.data.label_ids import label_ids_column, read_labels
from vidkd.engine.cpu import use_cpu
from vidkd.engine.run import read_config
from vidkd.engine.weights import load_covered, read_file
from vidkd.errors import UserError
from vidkd.evaluate.classes import read_predictions
from vidkd.evaluate.efficiency import count_parameters, gflops
from vidkd.files import atomic, write_text
from vidkd.methods.trimodel.model import Student, student_of
from vidkd.methods.trimodel.settings import TriModelSettings

BATCH_SIZE = 16


def load_student(weights: Path) -> tuple[Student, TriModelSettings, dict[str, Any]]:
    """A trained student in evaluation mode, its settings and its `config.json`.

    Raises:
        UserError: `config.json` is missing beside the weights, or they do not fit it.
    """
    config = read_config(weights)
    settings = TriModelSettings.model_validate(config["settings"])
    model = student_of(config["student"], len(config["classes"]))
    load_covered(model, read_file(weights), (), str(weights))
    return model.eval().requires_grad_(False), settings, config


def predict(
    weights: Path,
    shards: list[Path],
    labels_csv: Path,
    heads: Mapping[str, Path],
    predictions: Path,
    efficiency: Path,
    workers: int = 0,
) -> None:
    """Write a row for each clip, and what the network costs.

    Args:
        weights: `model.safetensors` beside its `config.json`.
        shards: frame stores of the test split.
        labels_csv: label of each video.
        heads: `predictions.csv` of the heads of teacher and assistant, by these names.
        predictions: csv to write: `video_id, label_id, pred, s_0, …` (`s_{label_id}`: probabilities), and
            `teacher_pred`, `assistant_pred`; where videos carry several classes, `label_ids`: all of them.
        efficiency: json to write: parameters, and GFLOPs (multiply-adds) of a clip.
        workers: loader processes.

    Raises:
        UserError: the network or the videos cannot be used, or a head did not predict one of them.
    """
    model, settings, config = load_student(weights)
    use_cpu(settings.cpu_threads)
    store = FrameStore(shards)
    check_clips(store, settings.frames, settings, settings.eval_frame_sampling)
    logit_NK = see(model, store, settings, workers)
    columns: dict[str, Any] = {
        "video_id": store.video_ids,
        "label_id": read_labels(labels_csv, store.video_ids, len(config["classes"])),
        "pred": logit_NK.argmax(1).numpy(),
    }
    columns |= {f"s_{k}": column.numpy() for k, column in enumerate(logit_NK.softmax(1).T)}
    columns |= label_ids_column(labels_csv, store.video_ids, len(config["classes"]))
    columns |= {f"{name}_pred": _answers(file, store.video_ids) for name, file in heads.items()}
    with atomic(predictions) as temporary:
        pd.DataFrame(columns).to_csv(temporary, index=False, float_format="%.6g")
    cost = {"params": count_parameters(model), "gflops": gflops(model, settings.frames, settings.size)}
    write_text(efficiency, json.dumps(cost, indent=2) + "\n")


@torch.inference_mode()
def see(model: Student, store: FrameStore, settings: TriModelSettings, workers: int) -> Tensor:
    """Logits (N, K) of every clip of the store, in order, in float32 and on the CPU."""
    device = Accelerator().device
    model = model.to(device)
    loader = evaluation_loader(store, [settings.frames], settings, BATCH_SIZE, workers)
    return torch.cat([model(batch.to(device).clips[settings.frames]).float().cpu() for batch in loader])


def _answers(predictions: Path, video_ids: list[str]) -> Any:
    """What a head said of each video."""
    answers = read_predictions(predictions).set_index("video_id")["pred"]
    if missing := [name for name in video_ids if name not in answers.index]:
        raise UserError(
            f"{predictions} says nothing of {missing[0]!r}: the head was tested on other videos; make it of "
            "features of these"
        )
    return answers.loc[video_ids].to_numpy()
