"""Run a trained student on the test split, export it, and say what it and the frozen networks cost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from vidkd.backbones.registry import load_backbone
from vidkd.backbones.videomae import VideoMAE
from vidkd.config.data import FrameSettings
from vidkd.data.clips import check_clips, evaluation_loader
from vidkd.data.frames import FrameStore
from vidkd.data.label_ids import label_ids_column, read_labels
from vidkd.engine.cpu import use_cpu
from vidkd.engine.efficiency import count_parameters, gflops
from vidkd.engine.run import read_config
from vidkd.engine.weights import load_covered, read_file
from vidkd.errors import UserError
from vidkd.evaluate.classes import read_predictions
from vidkd.evaluate.cost import Part, clip_part
from vidkd.methods.inputs import Inputs
from vidkd.methods.needs import Network
from vidkd.methods.predict import Predicted, class_columns
from vidkd.methods.teacher_model import check_network, load_head
from vidkd.methods.trimodel.model import Student, save, student_of
from vidkd.methods.trimodel.settings import TriModelSettings

_BATCH_SIZE = 16


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


def predict(inputs: Inputs, settings: Mapping[str, Any], workers: int = 0) -> Predicted:
    """The prediction of every clip, beside what the teacher and the assistant predict.

    Args:
        inputs: the student, test frames and the label of each video; `predictions.csv` of the heads by role.
        settings: none.
        workers: loader processes.

    Returns:
        Columns `video_id, label_id, pred, s_0, …`, and `teacher_pred`, `assistant_pred`; where videos carry
        several classes, `label_ids`: all of them. As cost parameters, and GFLOPs (multiply-adds) of a clip.

    Raises:
        UserError: the network or the videos cannot be used, or a head did not predict one of them.
    """
    model, trained, config = load_student(inputs.weights("student"))
    use_cpu(trained.cpu_threads)
    store, n_classes = FrameStore(inputs.frames("test")), len(config["classes"])
    check_clips(store, trained.frames, trained, trained.eval_frame_sampling)
    logit_NK = run_student(model, store, trained, workers)
    label_ids = read_labels(inputs.labels, store.video_ids, n_classes)
    columns = class_columns(store.video_ids, label_ids, logit_NK)
    columns |= label_ids_column(inputs.labels, store.video_ids, n_classes)
    columns |= {
        f"{role}_pred": _predicted_classes(inputs.result(role), store.video_ids)
        for role in inputs.needs.results
    }
    cost = {"params": count_parameters(model), "gflops": gflops(model, trained.frames, trained.size)}
    return Predicted(columns, cost)


@torch.inference_mode()
def run_student(model: Student, store: FrameStore, settings: TriModelSettings, workers: int) -> Tensor:
    """Logits (N, K) of every clip of the store, in order, in float32 and on the CPU."""
    device = Accelerator().device
    model = model.to(device)
    loader = evaluation_loader(store, [settings.frames], settings, _BATCH_SIZE, workers)
    return torch.cat([model(batch.to(device).clips[settings.frames]).float().cpu() for batch in loader])


def _predicted_classes(predictions: Path, video_ids: list[str]) -> Any:
    """Read what a head predicted for each video."""
    found = read_predictions(predictions).set_index("video_id")["pred"]
    if missing := [name for name in video_ids if name not in found.index]:
        raise UserError(
            f"{predictions} says nothing of {missing[0]!r}: the head was tested on other videos; make it of "
            "features of these"
        )
    return found.loc[video_ids].to_numpy()


def export(inputs: Inputs, frames: FrameSettings, folder: Path) -> None:
    """Write the student into a folder whose `from_pretrained` gives the same logits; see `save`.

    Raises:
        UserError: the student cannot be loaded.
    """
    ((weights,),) = inputs.runs.values()
    model, settings, config = load_student(weights)
    save(model, config["classes"], settings.eval_crop, folder)


def parts(inputs: Inputs, settings: Mapping[str, Any]) -> list[Part]:
    """What is measured: a clip through each student, and through teacher and assistant.

    Raises:
        UserError: a network cannot be loaded.
    """
    students = [_student_part(name, weights) for name, (weights,) in inputs.runs.items()]
    return students + [_frozen_part(role, network) for role, network in inputs.needs.networks.items()]


def _student_part(name: str, weights: Path) -> Part:
    model, settings, _ = load_student(weights)
    return clip_part(name, [model], settings.frames, settings.size, [weights])


def _frozen_part(role: str, network: Network) -> Part:
    """A teacher or an assistant with its linear head, from uint8 clips to logits."""
    backbone, head = cast(VideoMAE, load_backbone(network.settings)), Path(str(network.head))
    check_network(head, backbone)
    whole = nn.Sequential(backbone, nn.Flatten(1, 2), load_head(head))
    files = (*backbone.origin.files, head)
    return clip_part(role, [whole], backbone.spec.frames, backbone.spec.size, files)
