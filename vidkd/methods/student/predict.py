"""Run a trained student on the test split beside its teacher, and say what both cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional as F

from vidkd.backbones.registry import load_backbone
from vidkd.data.clips import check_clips, evaluation_loader
from vidkd.data.frames import FrameStore
from vidkd.data.label_ids import read_labels
from vidkd.engine.cpu import use_cpu
from vidkd.engine.efficiency import count_parameters, gflops
from vidkd.engine.run import read_config
from vidkd.engine.weights import load_covered, read_file
from vidkd.evaluate.cost import Part, clip_part
from vidkd.methods.inputs import Inputs
from vidkd.methods.needs import Network
from vidkd.methods.predict import Predicted, class_columns
from vidkd.methods.student.encoder import EncoderSpec, build_encoder
from vidkd.methods.student.model import Student, StudentOutput
from vidkd.methods.student.settings import TEACHER, StudentSettings
from vidkd.methods.student.train import cached_features, teacher_features
from vidkd.methods.teacher_model import check_network, load_head

if TYPE_CHECKING:  # open_clip, which predicting a student does without
    from vidkd.backbones.clip import CLIP

_BATCH_SIZE = 16


def load_student(weights: Path) -> tuple[Student, StudentSettings, dict[str, Any]]:
    """Load a trained student in evaluation mode, its settings and its `config.json`.

    Raises:
        UserError: `config.json` is missing beside the weights, or they do not fit it.
    """
    config = read_config(weights)
    settings = StudentSettings.model_validate(config["settings"])
    encoder = build_encoder(EncoderSpec(**config["encoder"]))
    model = Student(encoder, len(config["classes"]), settings)
    load_covered(model, read_file(weights), (), str(weights))
    return model.eval().requires_grad_(False), settings, config


def predict(inputs: Inputs, settings: Mapping[str, Any], workers: int = 0) -> Predicted:
    """Predict every clip, beside the teacher.

    Args:
        inputs: `student` and the teacher's `head`, test frames, the teacher's features of them, the label.
        settings: none.
        workers: loader processes.

    Returns:
        Columns `video_id, label_id, pred, s_0, …` (`s_{label_id}`: probabilities), `teacher_pred`, `cosine`
        between the features of both where they are as wide, and `a_0, …`, the weight of each frame.

    Raises:
        UserError: the network, the videos or the teacher's features cannot be used.
    """
    head = inputs.weights("head")
    model, trained, config = load_student(inputs.weights("student"))
    use_cpu(trained.cpu_threads)
    store = FrameStore(inputs.frames("test"))
    check_clips(store, trained.frames, trained, trained.eval_frame_sampling)
    output = run(model, store, trained, workers)
    teacher_ND = cached_features(head, teacher_features(inputs, "test"), store.video_ids)
    label_ids = read_labels(inputs.labels, store.video_ids, len(config["classes"]))
    columns = class_columns(store.video_ids, label_ids, output.logits)
    columns["teacher_pred"] = load_head(head)(teacher_ND[:, None]).logits.argmax(1).numpy()
    if teacher_ND.shape[1] == output.features.shape[1]:
        columns["cosine"] = F.cosine_similarity(output.features, teacher_ND, dim=1).numpy()
    columns |= {f"a_{t}": column.numpy() for t, column in enumerate(output.attention.T)}
    cost = {"params": count_parameters(model), "gflops": gflops(model, trained.frames, trained.size)}
    return Predicted(columns, cost)


@torch.inference_mode()
def run(model: Student, store: FrameStore, settings: StudentSettings, workers: int) -> StudentOutput:
    """Run a student on every clip of the store, in order; its output is float32 and on the CPU."""
    device = Accelerator().device
    model = model.to(device)
    found: list[Sequence[Tensor]] = []
    for batch in evaluation_loader(store, [settings.frames], settings, _BATCH_SIZE, workers):
        found.append([part.float().cpu() for part in model(batch.to(device).clips[settings.frames])])
    return StudentOutput(*(torch.cat(parts) for parts in zip(*found, strict=True)))


def parts(inputs: Inputs, settings: Mapping[str, Any]) -> list[Part]:
    """List what is measured: a clip of its own size through each student, and through the teacher.

    Raises:
        UserError: a network cannot be loaded, or the teacher is not the one of its head.
    """
    students = [_student_part(name, weights) for name, (weights,) in inputs.runs.items()]
    return students + [_teacher_part(network) for network in inputs.needs.networks.values()]


def _student_part(name: str, weights: Path) -> Part:
    model, settings, _ = load_student(weights)
    return clip_part(name, [model], settings.frames, settings.size, [weights])


def _teacher_part(given: Network) -> Part:
    """Measure the image tower and the head, class names among its parameters; `size_mb` is of all weights."""
    network, weights = cast("CLIP", load_backbone(given.settings)), Path(str(given.head))
    check_network(weights, network)
    head = load_head(weights)
    # From uint8 clips (B, T, 3, size, size) to logits.
    whole = nn.Sequential(network, nn.Flatten(1, 2), head)
    params = count_parameters(network.network.visual) + count_parameters(head) + head.text.numel()
    files = (*network.origin.files, weights)
    return replace(clip_part(TEACHER, [whole], network.spec.frames, network.spec.size, files), params=params)
