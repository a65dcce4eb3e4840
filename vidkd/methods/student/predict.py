"""Run a trained student on the test split, beside its teacher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.nn import functional as F

from vidkd.data.clips import check_clips, evaluation_loader
from vidkd.data.frames import FrameStore
from vidkd.data.label_ids import read_labels
from vidkd.engine.cpu import use_cpu
from vidkd.engine.efficiency import count_parameters, gflops
from vidkd.engine.run import read_config
from vidkd.engine.weights import load_covered, read_file
from vidkd.methods.inputs import Inputs
from vidkd.methods.predict import Predicted
from vidkd.methods.student.encoder import EncoderSpec, build_encoder
from vidkd.methods.student.model import Student, StudentOutput
from vidkd.methods.student.settings import StudentSettings
from vidkd.methods.student.train import cached_features, teacher_features
from vidkd.methods.teacher_model import load_head

BATCH_SIZE = 16


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
    columns: dict[str, Any] = {
        "video_id": store.video_ids,
        "label_id": read_labels(inputs.labels, store.video_ids, len(config["classes"])),
        "pred": output.logits.argmax(1).numpy(),
    }
    columns |= {f"s_{k}": column.numpy() for k, column in enumerate(output.logits.softmax(1).T)}
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
    for batch in evaluation_loader(store, [settings.frames], settings, BATCH_SIZE, workers):
        found.append([part.float().cpu() for part in model(batch.to(device).clips[settings.frames])])
    return StudentOutput(*(torch.cat(parts) for parts in zip(*found, strict=True)))
