"""Train one student with one seed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor
from torch.nn import functional as F

from vidkd.backbones.registry import load_backbone
from vidkd.config.backbones import BackboneSettings
from vidkd.data.clips import ClipBatches, TrainingClips, check_clips, evaluation_loader
from vidkd.data.frames import FrameStore
from vidkd.data.label_ids import read_labels
from vidkd.data.tables import read_classes
from vidkd.engine.checkpoint import drop_state, only_run
from vidkd.engine.gradients import check_gradients
from vidkd.engine.loop import Trainer
from vidkd.engine.optim import one_group
from vidkd.engine.processes import in_order, whole_batch
from vidkd.engine.run import write_run
from vidkd.engine.runtime import naming_knob, start_shared
from vidkd.errors import UserError
from vidkd.evaluate.accuracy import top_k
from vidkd.evaluate.efficiency import count_parameters
from vidkd.features.store import FeatureStore
from vidkd.methods.labelled import Videos, counts, first_batch, training_clips
from vidkd.methods.student.encoder import check_size, new_encoder, pretrained_encoder
from vidkd.methods.student.method import Distil, Teacher
from vidkd.methods.student.model import Student
from vidkd.methods.student.settings import StudentSettings
from vidkd.methods.student.teacher import (
    CachedTeacher,
    OnlineTeacher,
    check_features,
    check_gate,
    check_network,
    head_config,
    load_head,
)

if TYPE_CHECKING:  # open_clip, which a student without an online teacher does without
    from vidkd.backbones.clip import CLIP

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Teaching:
    """Where the teacher is.

    Attributes:
        head: `model.safetensors` of fit_teacher_head.
        backbone: the CLIP.
        train: its cached features of the training videos; empty where it runs online.
        val: those of the validation videos.
    """

    head: Path
    backbone: BackboneSettings
    train: list[Path]
    val: list[Path]


def train(
    settings: StudentSettings,
    videos: Videos,
    backbone: BackboneSettings | None,
    teaching: Teaching | None,
    run_dir: Path,
    about: Mapping[str, Any],
    *,
    seed: int,
    stamp: str,
    workers: int = 0,
) -> None:
    """Train and write `model.safetensors`, `config.json` and `history.csv` into `run_dir`.

    A run that was stopped goes on from its state when `stamp` (settings, code, inputs) is the same.

    Args:
        settings: of the student; `size` 0 is that of its network.
        videos: what it sees.
        backbone: what it starts from; None: `settings.arch` with random weights.
        teaching: the teacher; None where no term needs it.
        run_dir: folder of the run.
        about: further entries of `config.json`: names of the `variant` and the `label`.
        seed: of the weights, the order and the augmentation.
        stamp: digest of all that the result depends on.
        workers: loader processes; no effect on the result.

    Raises:
        UserError: the teacher is refused, something does not fit together, or the loss diverged.
    """
    if settings.taught and teaching is None:
        raise UserError("alpha, beta or hint need a teacher: give --teacher-head, or set them to 0")
    teaching = teaching if settings.taught else None
    accelerator = start_shared(settings, seed)
    encoder = new_encoder(settings.arch) if backbone is None else pretrained_encoder(backbone)
    settings = settings.model_copy(update={"size": settings.size or encoder.spec.size})
    check_size(encoder, settings.size)
    classes = read_classes(videos.classes)
    clips = student_clips(settings, videos, classes, seed)
    model = Student(encoder, len(classes), settings)
    teacher = open_teacher(settings, teaching, model, clips, classes, accelerator)
    method = Distil(model, teacher, settings).to(accelerator.device)
    data = ClipBatches(clips, settings.batch_size, seed, workers)
    validate = validation(settings, videos, teaching, accelerator, workers)
    first = first_batch(clips, settings.batch_size).to(accelerator.device)
    state_dir = run_dir / ".state"
    with only_run(state_dir), naming_knob(f"batch_size {settings.batch_size}: lower it, or frames"):
        with whole_batch(settings.batch_size), naming_lone_value(settings):
            norms = check_gradients(method, model, terms_of(settings), first, seed)
        trainer = Trainer(
            method, one_group(method), data, validate, settings, accelerator, seed, state_dir, stamp
        )
        write_run(
            run_dir, trainer.fit(), settings, seed, classes=classes, **about,
            encoder=encoder.spec.described(), params=count_parameters(model), gradient_norms=norms,
            **counts(clips),
            teacher_view=settings.teacher_view if settings.taught else "none",
            teacher=None if teaching is None else head_config(teaching.head)["features"]["weights_sha256"],
        )  # fmt: skip
        drop_state(state_dir)


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


def check_width(student: int, teacher: int, settings: StudentSettings) -> None:
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


def student_clips(settings: StudentSettings, videos: Videos, classes: list[str], seed: int) -> TrainingClips:
    """The training clips that some term can use; see `training_clips`."""
    return training_clips(
        videos, classes, settings, settings.frames, seed,
        unlabelled=settings.taught and settings.unlabelled == "distil", all_labels=settings.all_labels,
    )  # fmt: skip


def open_teacher(
    settings: StudentSettings,
    teaching: Teaching | None,
    model: Student,
    clips: TrainingClips,
    classes: list[str],
    accelerator: Accelerator,
) -> Teacher | None:
    """The teacher, online or cached; None where there is none.

    Raises:
        UserError: the gate refuses it, its head was made for other classes or features, its features are not
            as wide as the student's, or the cache lacks videos.
    """
    if teaching is None:
        return None
    check_gate(teaching.head)
    head, device = load_head(teaching.head), accelerator.device
    config = head_config(teaching.head)
    if config["classes"] != classes:
        raise UserError(
            f"{teaching.head} knows {len(config['classes'])} classes that are not the {len(classes)} of the "
            "student: make it for the same label"
        )
    check_width(model.width, config["width"], settings)
    if settings.teacher_view == "online":
        network = cast("CLIP", load_backbone(teaching.backbone))
        check_network(teaching.head, network)
        return OnlineTeacher(network, head, device)
    store = FeatureStore(teaching.train)
    check_features(teaching.head, store.meta)
    if settings.hint and store.shape[0] != settings.frames:
        raise UserError(
            f"hint compares each of {settings.frames} frames of the student with the teacher's, and its "
            f"cached features have {store.shape[0]} steps: set frames of one to those of the "
            "other, or teacher_view: online"
        )
    return CachedTeacher(store, clips.store.video_ids, head, device)


def validation(
    settings: StudentSettings,
    videos: Videos,
    teaching: Teaching | None,
    accelerator: Accelerator,
    workers: int,
) -> Callable[[Distil], tuple[float, dict[str, float]]]:
    """What the loop calls between epochs: top-1 accuracy in percent, and columns of `history.csv`.

    With a teacher `val_cosine` is among them, between the student's features of the middle of each video and
    the teacher's cached ones.
    """
    store = FrameStore(videos.val)
    check_clips(store, settings.frames, settings, settings.eval_frame_sampling)
    loader = evaluation_loader(store, [settings.frames], settings, settings.batch_size, workers)
    n_classes = len(read_classes(videos.classes))
    labels = torch.from_numpy(read_labels(videos.labels, store.video_ids, n_classes).astype(np.int64))
    taught_ND = None if teaching is None else cached_features(teaching.head, teaching.val, store.video_ids)

    @torch.inference_mode()
    def validate(method: Distil) -> tuple[float, dict[str, float]]:
        method.eval()
        found: list[tuple[Tensor, Tensor]] = []
        for batch in loader:
            with accelerator.autocast():
                seen = method.model(batch.to(accelerator.device).clips[settings.frames])
            found.append((seen.logits.float().cpu(), seen.features.float().cpu()))
        logit_NK, feature_ND = (torch.cat(parts) for parts in zip(*in_order(found), strict=True))
        if not logit_NK.isfinite().all():
            raise UserError("the logits of validation became NaN or infinite: lower lr, or set clip_grad")
        top1 = top_k(logit_NK, labels)
        row = {"val_loss": F.cross_entropy(logit_NK, labels).item(), "val_top1": top1}
        if taught_ND is not None and taught_ND.shape[1] == feature_ND.shape[1]:
            row["val_cosine"] = F.cosine_similarity(feature_ND, taught_ND, dim=1).mean().item()
        return top1, row

    return validate


def cached_features(head: Path, shards: list[Path], video_ids: list[str]) -> Tensor:
    """The teacher's features (N, D) of these videos, as its head sees them.

    Raises:
        UserError: the cache is of another teacher, damaged, or lacks videos.
    """
    store = FeatureStore(shards)
    check_features(head, store.meta)
    store.verify()
    return store.rows(store.rows_of(video_ids)).float().mean(dim=1)
