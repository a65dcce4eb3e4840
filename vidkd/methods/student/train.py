"""Train one student with one seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.nn import functional as F

from vidkd.backbones.registry import load_backbone
from vidkd.config.backbones import BackboneSettings
from vidkd.data.clips import ClipBatches, TrainingClips
from vidkd.engine.accuracy import validation_row
from vidkd.engine.efficiency import count_parameters
from vidkd.engine.gradients import check_gradients
from vidkd.engine.optim import one_group
from vidkd.engine.processes import in_order, whole_batch
from vidkd.engine.runtime import explain_oom, start_shared
from vidkd.errors import UserError
from vidkd.features.store import FeatureStore
from vidkd.methods.cached_teacher import CachedTeacher
from vidkd.methods.inputs import Inputs
from vidkd.methods.student.encoder import check_size, new_encoder, pretrained_encoder
from vidkd.methods.student.method import Distil, OnlineTeacher, Teacher
from vidkd.methods.student.model import Student
from vidkd.methods.student.settings import TEACHER, StudentSettings
from vidkd.methods.teacher_model import check_features, check_gate, check_network, head_config, load_head
from vidkd.methods.train import Fitted, Job
from vidkd.methods.training_data import counts, first_batch, training_clips, validation_clips

if TYPE_CHECKING:  # open_clip, which a student without an online teacher does without
    from vidkd.backbones.clip import CLIP

_MARGIN = "student.teacher.margin"
"""Place of the gate in the configuration."""


def training(job: Job) -> Fitted:
    """Train one student; its `size` 0 is that of its network.

    Raises:
        UserError: the teacher is refused, something does not fit together, or the loss diverged.
    """
    settings: StudentSettings = job.settings
    given = _given_teacher(settings, job.inputs)
    accelerator = start_shared(settings, job.seed)
    start = job.inputs.network("start")
    encoder = new_encoder(settings.arch) if start is None else pretrained_encoder(start.settings)
    settings = settings.model_copy(update={"size": settings.size or encoder.spec.size})
    check_size(encoder, settings.size)
    classes = job.inputs.class_names
    clips = student_clips(settings, job.inputs, classes, job.seed)
    model = Student(encoder, len(classes), settings)
    teacher = open_teacher(settings, job.inputs, model, clips, classes, accelerator)
    method = Distil(model, teacher, settings).to(accelerator.device)
    data = ClipBatches(clips, settings.batch_size, job.seed, job.workers)
    validate = _validation(settings, job.inputs, accelerator, job.workers)
    first = first_batch(clips, settings.batch_size).to(accelerator.device)
    knob = f"batch_size {settings.batch_size}: lower it, or frames"
    with explain_oom(knob), whole_batch(settings.batch_size), naming_lone_value(settings):
        norms = check_gradients(method, model, terms_of(settings), first, job.seed)
    result = job.loop(method, one_group(method), data, validate, settings, accelerator, knob=knob)
    return job.fitted(
        result, settings, classes=classes, label=job.inputs.needs.label, encoder=encoder.spec.described(),
        params=count_parameters(model), gradient_norms=norms, **counts(clips),
        teacher_view=settings.teacher_view if settings.taught else "none",
        teacher=None if given is None else head_config(given[1])["features"]["weights_sha256"],
    )  # fmt: skip


def _given_teacher(settings: StudentSettings, inputs: Inputs) -> tuple[BackboneSettings, Path] | None:
    """Find the teacher and the weights of its head; None where no term needs it.

    Raises:
        UserError: a term does, and it is not given.
    """
    if not settings.taught:
        return None
    network = inputs.network(TEACHER)
    if network is None or network.head is None:
        raise UserError(
            "alpha, beta or hint need a teacher: give --network teacher=JSON and --network-head "
            "teacher=FILE, or set them to 0"
        )
    return network.settings, Path(network.head)


@contextmanager
def naming_lone_value(settings: StudentSettings) -> Iterator[None]:
    """Have a batch that leaves BatchNorm one value of a channel end with the settings that made it so.

    Raises:
        UserError: there is no deviation of one value.
    """
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise UserError(
            f"batch_size {settings.batch_size}, frames {settings.frames} and size {settings.size} leave a "
            "BatchNorm of the network one value of each channel, which has no deviation: raise one of them"
        ) from error


def _check_width(student: int, teacher: int, settings: StudentSettings) -> None:
    """Refuse to compare features of unequal width.

    Raises:
        UserError: says both widths.
    """
    if student != teacher and (settings.alpha or settings.hint):
        raise UserError(
            f"the student has {student} features and the teacher {teacher}: set projection: true and width: "
            f"{teacher}, or alpha and hint to 0"
        )


def terms_of(settings: StudentSettings) -> list[str]:
    """Names of the terms of weights above 0."""
    weights = {
        "feature_loss": settings.alpha, "hint_loss": settings.hint, "response_loss": settings.beta,
        "task_loss": settings.gamma,
    }  # fmt: skip
    return [name for name, weight in weights.items() if weight]


def student_clips(settings: StudentSettings, inputs: Inputs, classes: list[str], seed: int) -> TrainingClips:
    """Open the training clips that some term can use; see `training_clips`."""
    return training_clips(
        inputs, classes, settings, settings.frames, seed,
        unlabelled=settings.taught and settings.unlabelled == "distil", all_labels=settings.all_labels,
    )  # fmt: skip


def open_teacher(
    settings: StudentSettings,
    inputs: Inputs,
    model: Student,
    clips: TrainingClips,
    classes: list[str],
    accelerator: Accelerator,
) -> Teacher | None:
    """Open the teacher, online or cached; None where no term needs it.

    Raises:
        UserError: it is not given, the gate refuses it, its head was made for other classes or features, its
            features are not as wide as the student's, or the cache lacks videos.
    """
    given = _given_teacher(settings, inputs)
    if given is None:
        return None
    (network, weights), device = given, accelerator.device
    check_gate(weights, TEACHER, _MARGIN)
    head, config = load_head(weights), head_config(weights)
    if config["classes"] != classes:
        raise UserError(
            f"{weights} knows {len(config['classes'])} classes that are not the {len(classes)} of the "
            "student: make it for the same label"
        )
    _check_width(model.width, config["width"], settings)
    if settings.teacher_view == "online":
        backbone = cast("CLIP", load_backbone(network))
        check_network(weights, backbone)
        return OnlineTeacher(backbone, head, device)
    store = FeatureStore(teacher_features(inputs, "train"))
    check_features(weights, store.meta)
    if settings.hint and store.shape[0] != settings.frames:
        raise UserError(
            f"hint compares each of {settings.frames} frames of the student with the teacher's, and its "
            f"cached features have {store.shape[0]} steps: set frames of one to those of the "
            "other, or teacher_view: online"
        )
    return CachedTeacher(store, clips.store.video_ids, head, device)


def teacher_features(inputs: Inputs, split: str) -> list[Path]:
    """Find the teacher's feature stores of a split.

    Raises:
        UserError: they are not given.
    """
    name = next(iter(inputs.networks_with_features), TEACHER)
    return inputs.features(name, split)[split]


def _validation(
    settings: StudentSettings, inputs: Inputs, accelerator: Accelerator, workers: int
) -> Callable[[Distil], tuple[float, dict[str, float]]]:
    """Make what the loop calls between epochs: top-1 accuracy in percent, and columns of `history.csv`.

    With a teacher `val_cosine` is among them, between the student's features of the middle of each video and
    the teacher's cached ones.
    """
    store, loader, labels = validation_clips(inputs, settings, settings.frames, settings.batch_size, workers)
    given, teacher_ND = _given_teacher(settings, inputs), None
    if given is not None:
        teacher_ND = cached_features(given[1], teacher_features(inputs, "val"), store.video_ids)

    @torch.inference_mode()
    def validate(method: Distil) -> tuple[float, dict[str, float]]:
        method.eval()
        found: list[tuple[Tensor, Tensor]] = []
        for batch in loader:
            with accelerator.autocast():
                output = method.model(batch.to(accelerator.device).clips[settings.frames])
            found.append((output.logits.float().cpu(), output.features.float().cpu()))
        logit_NK, feature_ND = (torch.cat(parts) for parts in zip(*in_order(found), strict=True))
        row = validation_row(logit_NK, labels)
        if teacher_ND is not None and teacher_ND.shape[1] == feature_ND.shape[1]:
            row["val_cosine"] = F.cosine_similarity(feature_ND, teacher_ND, dim=1).mean().item()
        return row["val_top1"], row

    return validate


def cached_features(head: Path, shards: list[Path], video_ids: list[str]) -> Tensor:
    """Read the teacher's features (N, D) of these videos, as its head sees them.

    Raises:
        UserError: the cache is of another teacher, damaged, or lacks videos.
    """
    store = FeatureStore(shards)
    check_features(head, store.meta)
    store.verify()
    return store.rows(store.rows_of(video_ids)).float().mean(dim=1)
