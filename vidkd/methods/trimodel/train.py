"""Train one student with one seed, from labels, a teacher and an assistant."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor
from torch.nn import functional as F

from vidkd.backbones.source import network_files
from vidkd.config.backbones import BackboneSettings
from vidkd.data.clips import ClipBatches, TrainingClips, check_clips, evaluation_loader
from vidkd.data.frames import FrameStore
from vidkd.data.label_ids import read_label_sets, read_labels
from vidkd.data.tables import read_classes
from vidkd.engine.checkpoint import drop_state, only_run
from vidkd.engine.gradients import check_gradients
from vidkd.engine.loop import Progress, Trainer
from vidkd.engine.processes import count as count_processes
from vidkd.engine.processes import in_order, whole_batch
from vidkd.engine.run import NETWORK, write_run
from vidkd.engine.runtime import naming_knob, start_shared
from vidkd.errors import UserError
from vidkd.evaluate.accuracy import top_k
from vidkd.evaluate.efficiency import count_parameters
from vidkd.methods.labelled import Videos, counts, first_batch, training_clips
from vidkd.methods.trimodel.align import check_grids, other_layers
from vidkd.methods.trimodel.frozen import Frozen, check_gate, check_network, forget, head_config, load_head
from vidkd.methods.trimodel.groups import layer_groups
from vidkd.methods.trimodel.method import Distil, terms_of
from vidkd.methods.trimodel.model import (
    Student,
    grid_of,
    load_videomae,
    new_student,
    pretrained_student,
    save,
    use_drop_path,
)
from vidkd.methods.trimodel.settings import ASSISTANT, TEACHER, TriModelSettings

log = logging.getLogger(__name__)

PUBLISHED = "network"
"""Folder of the student within its run as transformers saves it."""

NUDGE = 0.01
"""Standard deviation of what is added to weights for the check of gradients."""


@dataclass(frozen=True)
class Network:
    """A frozen network that may teach.

    Attributes:
        head: `model.safetensors` of fit_trimodel_head.
        backbone: the network.
    """

    head: Path
    backbone: BackboneSettings

    @property
    def files(self) -> list[Path]:
        """What it is loaded from."""
        return [self.head, self.head.with_name("config.json"), *network_files(self.backbone)]


def train(
    settings: TriModelSettings,
    videos: Videos,
    backbone: BackboneSettings | None,
    networks: Mapping[str, Network],
    run_dir: Path,
    about: Mapping[str, Any],
    *,
    seed: int,
    stamp: str,
    workers: int = 0,
    save_steps: int | None = None,
) -> None:
    """Train and write `model.safetensors`, `config.json`, `history.csv` and PUBLISHED into `run_dir`.

    A run that was stopped goes on from its state when `stamp` (settings, code, inputs) is the same.

    Args:
        settings: of the student; `size` 0 is that of its network.
        videos: what it sees.
        backbone: what it starts from; None: a network of the settings' size with random weights.
        networks: TEACHER and ASSISTANT, those of them that the settings give a weight.
        run_dir: folder of the run.
        about: further entries of `config.json`: names of the `variant` and the `label`.
        seed: of the weights, the order and the augmentation.
        stamp: digest of all that the result depends on.
        workers: loader processes; no effect on the result.
        save_steps: steps after which the state is saved, beside each two minutes; no effect on the result.

    Raises:
        UserError: a network is refused, something does not fit together, or the loss diverged.
    """
    accelerator = start_shared(settings, seed)
    # As features and heads of the frozen networks were made (cache_shard); for labels alone as well.
    torch.backends.cudnn.allow_tf32 = False
    classes = read_classes(videos.classes)
    model = first_student(settings, backbone, len(classes))
    settings = settings.model_copy(update={"size": model.size})
    clips = student_clips(settings, videos, classes, seed)
    frozen = open_all(networks, settings, model, classes, seed, accelerator.device)
    method = Distil(model, frozen, settings, label_shares(clips, videos, settings)).to(accelerator.device)
    data = ClipBatches(clips, settings.batch_size, seed, workers)
    first = first_batch(clips, settings.batch_size).to(accelerator.device)
    validate = validation(settings, videos, accelerator, workers)
    state_dir = run_dir / ".state"
    with only_run(state_dir), naming_knob(_knobs(settings)):
        with nudged(model, seed), whole_batch(settings.batch_size):
            norms = check_gradients(method, model, terms_of(settings), first, seed)
        regularise(model, settings)
        groups = layer_groups(method, settings)
        result = Trainer(
            method, groups, data, validate, settings, accelerator, seed, state_dir, stamp, save_steps
        ).fit()
        publish(model, result, classes, settings, run_dir / PUBLISHED)
        write_run(
            run_dir, result, settings, seed, classes=classes, **about, student=model.described(),
            params=count_parameters(model), gradient_norms=norms, **counts(clips),
            **taught_by(settings, networks),
        )  # fmt: skip
        drop_state(state_dir)


def check_processes(settings: TriModelSettings) -> None:
    """Refuse to share what compares the clips of a batch with each other.

    Raises:
        UserError: several processes, and decorrelation.
    """
    decorrelated = settings.sources and settings.asymmetric_weight and settings.asymmetric == "decorrelation"
    if decorrelated and count_processes() > 1:
        raise UserError(
            "asymmetric: decorrelation is over the tokens of a whole batch, which processes do not share: "
            "set asymmetric: confidence, or train in one process (compute.gpus: 1)"
        )


def first_student(settings: TriModelSettings, start: BackboneSettings | None, n_classes: int) -> Student:
    """The student before its training."""
    if start is None:
        return new_student(settings, n_classes)
    return pretrained_student(settings, start, n_classes)


def regularise(model: Student, settings: TriModelSettings) -> None:
    """What a training does to its network that a trained one does not know."""
    use_drop_path(model, settings.drop_path)
    if settings.gradient_checkpointing:
        model.network.gradient_checkpointing_enable()


@contextmanager
def nudged(model: Student, seed: int) -> Iterator[None]:
    """While entered, every weight is a little off.

    A student that starts as its teacher has nothing to learn of it in the first step: the gradient of a term
    that is alive would be zero.
    """
    before = {name: value.clone() for name, value in model.state_dict().items()}
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in model.parameters():
            noise = torch.randn(value.shape, generator=generator).to(value.device)
            value.add_(NUDGE * noise)
    try:
        yield
    finally:
        model.load_state_dict(before)


def student_clips(settings: TriModelSettings, videos: Videos, classes: list[str], seed: int) -> TrainingClips:
    """The training clips that some term can use; see `training_clips`."""
    return training_clips(
        videos, classes, settings, settings.frames, seed,
        unlabelled=settings.distils and settings.unlabelled == "distil", all_labels=settings.all_labels,
    )  # fmt: skip


def label_shares(clips: TrainingClips, videos: Videos, settings: TriModelSettings) -> Tensor | None:
    """(N, K) for clips that carry several classes: the same share for each of them; None where none does.

    Raises:
        UserError: clips carry several classes, and a mirrored one would carry others.
    """
    set_NK = read_label_sets(videos.labels, clips.store.video_ids, len(read_classes(videos.classes)))
    if set_NK is None:
        return None
    if settings.flip == "swap":
        raise UserError("flip: swap is for videos of one class, and these carry several: set none or plain")
    return torch.from_numpy(set_NK / set_NK.sum(1, keepdims=True).clip(min=1)).float()


def open_all(
    networks: Mapping[str, Network],
    settings: TriModelSettings,
    model: Student,
    classes: Sequence[str],
    seed: int,
    device: torch.device,
) -> dict[str, Frozen]:
    """The networks that the settings give a weight, see `open_frozen`; of several processes, each its own."""
    check_processes(settings)
    return {
        name: open_frozen(name, networks, settings, model, classes, seed, device) for name in settings.sources
    }


def open_frozen(
    name: str,
    networks: Mapping[str, Network],
    settings: TriModelSettings,
    model: Student,
    classes: Sequence[str],
    seed: int,
    device: torch.device,
) -> Frozen:
    """The teacher or the assistant, as the settings compare it with the student.

    Raises:
        UserError: it is not given, the gate refuses it, its head was made for other classes or another
            network, it has not the layers that are compared, or attention of another grid is.
    """
    if name not in networks:
        raise UserError(f"{name}_feature_weight is above 0: give --{name} and --{name}-head, or set it to 0")
    network, control = networks[name], name == ASSISTANT and settings.random_assistant
    if head_config(network.head)["classes"] != list(classes):
        raise UserError(f"{network.head} knows other classes than the student: make it for the same label")
    if not control:
        check_gate(network.head, name)
    maps = settings.attention_distillation_weight > 0
    backbone = load_videomae(network.backbone, settings.frames, eager=maps)
    check_network(network.head, backbone)
    if control:
        log.warning("a control: the weights of the assistant are random")
        forget(backbone, seed)
    own, wanted = grid_of(backbone.network.config), grid_of(model.network.config)
    check_grids(name, own, wanted, attention=maps)
    layers = other_layers(
        settings.hidden_layers_to_align, model.network.config.num_hidden_layers,
        backbone.network.config.num_hidden_layers, settings.pairing, name,
    )  # fmt: skip
    return Frozen(backbone, load_head(network.head), layers, wanted, device, attention=maps)


def validation(
    settings: TriModelSettings, videos: Videos, accelerator: Accelerator, workers: int
) -> Callable[[Distil], tuple[float, dict[str, float]]]:
    """What the loop calls between epochs: top-1 accuracy in percent, and columns of `history.csv`."""
    store = FrameStore(videos.val)
    check_clips(store, settings.frames, settings, settings.eval_frame_sampling)
    loader = evaluation_loader(store, [settings.frames], settings, settings.batch_size, workers)
    n_classes = len(read_classes(videos.classes))
    labels = torch.from_numpy(read_labels(videos.labels, store.video_ids, n_classes).astype(np.int64))

    @torch.inference_mode()
    def validate(method: Distil) -> tuple[float, dict[str, float]]:
        method.eval()
        logits: list[Tensor] = []
        for batch in loader:
            with accelerator.autocast():
                logit_BK = method.model(batch.to(accelerator.device).clips[settings.frames])
            logits.append(logit_BK.float().cpu())
        logit_NK = torch.cat(in_order(logits))
        if not logit_NK.isfinite().all():
            raise UserError("the logits of validation became NaN or infinite: lower lr, or set clip_grad")
        top1 = top_k(logit_NK, labels)
        return top1, {"val_loss": F.cross_entropy(logit_NK, labels).item(), "val_top1": top1}

    return validate


def publish(
    model: Student, result: Progress, classes: Sequence[str], settings: TriModelSettings, folder: Path
) -> None:
    """Write the best epoch's student as transformers does; see `save`."""
    best = {
        name.removeprefix(NETWORK): value
        for name, value in result.best_weights.items()
        if name.startswith(NETWORK)
    }
    model.load_state_dict(best)
    save(model, classes, settings.eval_crop, folder)


def taught_by(settings: TriModelSettings, networks: Mapping[str, Network]) -> dict[str, str]:
    """For `config.json`: the weights of teacher and assistant by name; `none` of one that does not teach."""
    found = {}
    for name in (TEACHER, ASSISTANT):
        sums = head_config(networks[name].head)["features"] if name in settings.sources else {}
        found[name] = sums.get("weights_sha256", "none")
    if settings.random_assistant and ASSISTANT in settings.sources:
        found[ASSISTANT] = "random"
    return found


def _knobs(settings: TriModelSettings) -> str:
    return (
        f"batch_size {settings.batch_size}: lower it and raise accumulate (of a notebook "
        "gradient_accumulation_steps), set gradient_checkpointing: true (of a notebook in recipe), or "
        f"attention_distillation_weight: 0, or lower frames ({settings.frames})"
    )
