"""Train a TSM on labels and on the logits of a frozen network (Hinton 2015), and predict with it.

Shapes in names: B clips of a batch, N clips of a split, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional as F

from vidkd.data.clips import Batch, ClipBatches, TrainingClips, check_clips, evaluation_loader
from vidkd.data.frames import FrameStore
from vidkd.engine.accuracy import top_k
from vidkd.engine.cpu import use_cpu
from vidkd.engine.efficiency import count_parameters, gflops
from vidkd.engine.optim import one_group
from vidkd.engine.processes import averaged
from vidkd.engine.runtime import start_shared
from vidkd.evaluate.scores import score_clips
from vidkd.features.store import FeatureStore
from vidkd.methods.cached_teacher import CachedTeacher
from vidkd.methods.ffn.model import build_model
from vidkd.methods.ffn.settings import FFNSettings
from vidkd.methods.ffn.start import load_network
from vidkd.methods.inputs import Inputs
from vidkd.methods.logits.settings import LogitSettings
from vidkd.methods.predict import Predicted, class_columns
from vidkd.methods.teacher_model import check_features, check_gate, load_head
from vidkd.methods.train import Fitted, Job
from vidkd.methods.training_data import training_clips


class Distil(nn.Module):
    """The student with its objective; the teacher is no part of its parameters."""

    def __init__(self, model: nn.Module, teacher: CachedTeacher | None, settings: LogitSettings) -> None:
        super().__init__()
        self.model, self.teacher, self.settings = model, teacher, settings

    def forward(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Loss terms of a training batch, weighted, to be added up."""
        alpha, total = self.settings.alpha, self.settings.batch_size
        logit_BK = self.model(batch.clips[self.settings.frames]).float()
        terms = {"task_loss": alpha * averaged(F.cross_entropy(logit_BK, batch.label), total)}
        if self.teacher is not None:
            kl = softened_kl(logit_BK, self.teacher(batch).logits, self.settings.temperature)
            terms["logit_loss"] = (1 - alpha) * averaged(kl, total)
        return terms


def softened_kl(student_BK: Tensor, teacher_BK: Tensor, temperature: float) -> Tensor:
    """T² KL(teacher || student) of softened classes: T² keeps its gradient as large as that of the label."""
    student_BK, teacher_BK = (F.log_softmax(one / temperature, 1) for one in (student_BK, teacher_BK))
    return temperature**2 * F.kl_div(student_BK, teacher_BK, reduction="batchmean", log_target=True)


def training(job: Job) -> Fitted:
    """Train one variant."""
    settings: LogitSettings = job.settings
    accelerator = start_shared(settings, job.seed)
    inputs, classes, network = job.inputs, job.inputs.class_names, settings.network()
    clips = training_clips(
        inputs, classes, settings, settings.frames, job.seed, unlabelled=False, all_labels=True
    )
    data = ClipBatches(clips, settings.batch_size, job.seed, job.workers)
    teacher = open_teacher(inputs, clips, accelerator.device) if settings.alpha < 1 else None
    method = Distil(build_model(network, len(classes)), teacher, settings)
    store = FrameStore(inputs.frames("val"))

    def validate(method: Distil) -> tuple[float, dict[str, float]]:
        logit_NK = run(method.eval().model, store, network, accelerator, job.workers)
        top1 = top_k(logit_NK, torch.from_numpy(store.label_ids))
        return top1, {"val_top1": top1}

    groups, knob = one_group(method), f"batch_size {settings.batch_size}: lower it, or size or frames"
    result = job.loop(method, groups, data, validate, settings, accelerator, knob=knob)
    return job.fitted(
        result, network, classes=classes, alpha=settings.alpha, temperature=settings.temperature
    )


def open_teacher(inputs: Inputs, clips: TrainingClips, device: torch.device) -> CachedTeacher:
    """Open the teacher: its head, which the gate must let pass, on its cached features of these videos."""
    weights, (name,) = inputs.weights("head"), inputs.networks_with_features
    check_gate(weights, "teacher", "logits.teacher.margin")
    features = FeatureStore(inputs.features(name, "train")["train"])
    check_features(weights, features.meta)
    return CachedTeacher(features, clips.store.video_ids, load_head(weights), device)


def run(
    model: nn.Module, store: FrameStore, settings: FFNSettings, accelerator: Accelerator, workers: int
) -> Tensor:
    """Give the logits (N, K) of every clip of a store."""
    (count,) = settings.frame_counts
    check_clips(store, count, settings, settings.eval_frame_sampling)
    loader = evaluation_loader(store, [count], settings, settings.batch_size, workers)
    with accelerator.autocast():
        return score_clips(lambda batch: {count: model(batch.clips[count])}, loader, accelerator.device)[
            count
        ]


def predict(inputs: Inputs, settings: Mapping[str, Any], workers: int = 0) -> Predicted:
    """Predict every test clip: its class, and the probability of each."""
    model, trained, _ = load_network(inputs.weights("student"))
    use_cpu(trained.cpu_threads)
    store, accelerator = FrameStore(inputs.frames("test")), Accelerator()
    logit_NK = run(model.to(accelerator.device), store, trained, accelerator, workers)
    columns = class_columns(store.video_ids, store.label_ids, logit_NK)
    (frames,) = trained.frame_counts
    cost = {"params": count_parameters(model), "gflops": gflops(model, frames, trained.size)}
    return Predicted(columns, {**cost, "frames": frames})
