"""Train one student with one seed, from labels, a teacher and an assistant."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor

from vidkd.data.clips import ClipBatches, TrainingClips
from vidkd.data.label_ids import read_label_sets
from vidkd.engine.accuracy import validation_row
from vidkd.engine.efficiency import count_parameters
from vidkd.engine.gradients import check_gradients
from vidkd.engine.processes import count as count_processes
from vidkd.engine.processes import in_order, whole_batch
from vidkd.engine.runtime import explain_oom, start_shared
from vidkd.errors import UserError
from vidkd.methods.inputs import Inputs
from vidkd.methods.teacher_model import check_gate, check_network, head_config, load_head
from vidkd.methods.train import Fitted, Job
from vidkd.methods.training_data import counts, first_batch, training_clips, validation_clips
from vidkd.methods.trimodel.frozen import Frozen, check_grids, other_layers, randomise_weights
from vidkd.methods.trimodel.method import Distil, layer_groups, terms_of
from vidkd.methods.trimodel.model import (
    Student,
    grid_of,
    load_videomae,
    new_student,
    pretrained_student,
    use_drop_path,
)
from vidkd.methods.trimodel.settings import ASSISTANT, TEACHER, TriModelSettings

log = logging.getLogger(__name__)

_PERTURBATION = 0.01
"""Standard deviation of what is added to weights for the check of gradients."""


def training(job: Job) -> Fitted:
    """Train one student.

    Raises:
        UserError: a network is refused, something does not fit together, or the loss diverged.
    """
    settings: TriModelSettings = job.settings
    accelerator = start_shared(settings, job.seed)
    # As features and heads of the frozen networks were made (cache_shard); for labels alone as well.
    torch.backends.cudnn.allow_tf32 = False
    classes = job.inputs.class_names
    start = job.inputs.network("start")
    if start is None:
        model = new_student(settings, len(classes))
    else:
        model = pretrained_student(settings, start.settings, len(classes))
    settings = settings.model_copy(update={"size": model.size})
    clips = training_clips(
        job.inputs, classes, settings, settings.frames, job.seed,
        unlabelled=settings.distils and settings.unlabelled == "distil", all_labels=settings.all_labels,
    )  # fmt: skip
    frozen = _open_all(job.inputs, settings, model, classes, job.seed, accelerator.device)
    method = Distil(model, frozen, settings, _label_shares(clips, job.inputs, settings))
    method = method.to(accelerator.device)
    data = ClipBatches(clips, settings.batch_size, job.seed, job.workers)
    first = first_batch(clips, settings.batch_size).to(accelerator.device)
    validate = _validation(settings, job.inputs, accelerator, job.workers)
    knob = _knobs(settings)
    with explain_oom(knob), _perturbed(model, job.seed), whole_batch(settings.batch_size):
        norms = check_gradients(method, model, terms_of(settings), first, job.seed)
    # What a network has in training only: after the check of gradients, which shall be of the plain network.
    use_drop_path(model, settings.drop_path)
    if settings.gradient_checkpointing:
        model.network.gradient_checkpointing_enable()
    groups = layer_groups(method, settings)
    result = job.loop(method, groups, data, validate, settings, accelerator, knob=knob)
    return job.fitted(
        result, settings, classes=classes, label=job.inputs.needs.label, student=model.described(),
        params=count_parameters(model), gradient_norms=norms, **counts(clips), **_taught_by(settings, frozen),
    )  # fmt: skip


def _check_processes(settings: TriModelSettings) -> None:
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


@contextmanager
def _perturbed(model: Student, seed: int) -> Iterator[None]:
    """Add a little noise to every weight while entered.

    A student that starts as its teacher has nothing to learn of it in the first step: the gradient of a term
    that is alive would be zero.
    """
    before = {name: value.clone() for name, value in model.state_dict().items()}
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in model.parameters():
            noise = torch.randn(value.shape, generator=generator).to(value.device)
            value.add_(_PERTURBATION * noise)
    try:
        yield
    finally:
        model.load_state_dict(before)


def _label_shares(clips: TrainingClips, inputs: Inputs, settings: TriModelSettings) -> Tensor | None:
    """Read the classes (N, K) of clips that carry several: the same share for each; None where none does.

    Raises:
        UserError: clips carry several classes, and a mirrored one would carry others.
    """
    set_NK = read_label_sets(inputs.labels, clips.store.video_ids, len(inputs.class_names))
    if set_NK is None:
        return None
    if settings.flip == "swap":
        raise UserError("flip: swap is for videos of one class, and these carry several: set none or plain")
    return torch.from_numpy(set_NK / set_NK.sum(1, keepdims=True).clip(min=1)).float()


def _open_all(
    inputs: Inputs,
    settings: TriModelSettings,
    model: Student,
    classes: Sequence[str],
    seed: int,
    device: torch.device,
) -> dict[str, Frozen]:
    """Open the networks that the settings give a weight; of several processes, each opens its own."""
    _check_processes(settings)
    return {
        role: open_frozen(role, inputs, settings, model, classes, seed, device) for role in settings.sources
    }


def open_frozen(
    role: str,
    inputs: Inputs,
    settings: TriModelSettings,
    model: Student,
    classes: Sequence[str],
    seed: int,
    device: torch.device,
) -> Frozen:
    """Open the teacher or the assistant, as the settings compare it with the student.

    Raises:
        UserError: it is not given, the gate refuses it, its head was made for other classes or another
            network, it has not the layers that are compared, or attention of another grid is.
    """
    network = inputs.network(role)
    if network is None or network.head is None:
        raise UserError(
            f"{role}_feature_weight is above 0: give --network {role}=JSON and --network-head {role}=FILE, "
            "or set it to 0"
        )
    head, control = Path(network.head), role == ASSISTANT and settings.random_assistant
    if head_config(head)["classes"] != list(classes):
        raise UserError(f"{head} knows other classes than the student: make it for the same label")
    if not control:
        check_gate(head, role, "trimodel.gate.margin")
    maps = settings.attention_distillation_weight > 0
    backbone = load_videomae(network.settings, settings.frames, eager=maps)
    check_network(head, backbone)
    if control:
        log.warning("a control: the weights of the assistant are random")
        randomise_weights(backbone, seed)
    own, wanted = grid_of(backbone.network.config), grid_of(model.network.config)
    check_grids(role, own, wanted, attention=maps)
    layers = other_layers(
        settings.hidden_layers_to_align, model.network.config.num_hidden_layers,
        backbone.network.config.num_hidden_layers, settings.pairing, role,
    )  # fmt: skip
    return Frozen(backbone, load_head(head), layers, wanted, device, attention=maps)


def _validation(
    settings: TriModelSettings, inputs: Inputs, accelerator: Accelerator, workers: int
) -> Callable[[Distil], tuple[float, dict[str, float]]]:
    """Make what the loop calls between epochs: top-1 accuracy in percent, and columns of `history.csv`."""
    _, loader, labels = validation_clips(inputs, settings, settings.frames, settings.batch_size, workers)

    @torch.inference_mode()
    def validate(method: Distil) -> tuple[float, dict[str, float]]:
        method.eval()
        logits: list[Tensor] = []
        for batch in loader:
            with accelerator.autocast():
                logit_BK = method.model(batch.to(accelerator.device).clips[settings.frames])
            logits.append(logit_BK.float().cpu())
        row = validation_row(torch.cat(in_order(logits)), labels)
        return row["val_top1"], row

    return validate


def _taught_by(settings: TriModelSettings, frozen: Mapping[str, Frozen]) -> dict[str, str]:
    """Name the weights of teacher and assistant for `config.json`: their sum, `random` or `none`."""
    found = {
        role: frozen[role].backbone.weights_sha256 if role in frozen else "none"
        for role in (TEACHER, ASSISTANT)
    }
    if settings.random_assistant and ASSISTANT in frozen:
        found[ASSISTANT] = "random"
    return found


def _knobs(settings: TriModelSettings) -> str:
    return (
        f"batch_size {settings.batch_size}: lower it and raise accumulate (of a notebook "
        "gradient_accumulation_steps), set gradient_checkpointing: true (of a notebook in recipe), or "
        f"attention_distillation_weight: 0, or lower frames ({settings.frames})"
    )
