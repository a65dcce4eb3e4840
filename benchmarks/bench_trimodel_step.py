"""What a step of tri-model distillation costs, by what is distilled, interleaved.

Random weights. On a CPU networks of the demo's size on one thread; where there is a GPU the published sizes
in bf16: a ViT-S student, a ViT-B teacher and a ViT-S assistant, 16 frames of 224 pixels, batch 8. The frozen
networks compute in float32 in both, as their heads were made. Run: `make bench`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch

import vidkd.torchvision_ops  # noqa: F401 - must come before torchvision, which transformers imports

# isort: split

from transformers import VideoMAEConfig, VideoMAEModel

from vidkd.backbones.protocol import BackboneSpec, Origin
from vidkd.backbones.videomae import VideoMAE
from vidkd.data.clips import Batch
from vidkd.methods.teacher_model import TeacherHead
from vidkd.methods.trimodel.frozen import Frozen, other_layers
from vidkd.methods.trimodel.method import Distil
from vidkd.methods.trimodel.model import grid_of, new_student
from vidkd.methods.trimodel.settings import ASSISTANT, TEACHER, TriModelSettings

ROUNDS = 5
RESULTS = Path(__file__).parent / "results" / "trimodel_step.csv"
CLASSES = 12
PLANS = {
    "ce": {"teacher_feature_weight": 0, "assistant_feature_weight": 0},
    "both": {},
    "no_attention": {"attention_distillation_weight": 0},
}
SIZES = {
    "cpu": (
        {"size": 48, "patch": 8, "frames": 8, "width": 64, "layers": 3, "heads": 4},
        (64, 3, 4),
        (64, 3, 4),
        16,
    ),
    "cuda": ({"size": 224, "patch": 16, "frames": 16}, (768, 12, 12), (384, 12, 6), 8),
}
"""Of each device: the student, width, layers and heads of teacher and assistant, and the batch."""


def frozen(
    settings: TriModelSettings, shape: tuple[int, int, int], name: str, device: torch.device
) -> Frozen:
    """A frozen network of random weights with a head of random weights."""
    width, layers, heads = shape
    maps = settings.attention_distillation_weight > 0
    config = VideoMAEConfig(
        image_size=settings.size, patch_size=settings.patch, num_frames=settings.frames, hidden_size=width,
        num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=4 * width,
        attn_implementation="eager" if maps else "sdpa",
    )  # type: ignore[call-arg]  # fmt: skip
    spec = BackboneSpec(
        "videomae", settings.frames, settings.size, 1.0, (0.5,) * 3, (0.2,) * 3, width, settings.frames // 2,
        "2 frames",
    )  # type: ignore[arg-type]  # fmt: skip
    backbone = VideoMAE(spec, VideoMAEModel(config), Origin("random", Path(), "", "", ()))
    wanted = settings.hidden_layers_to_align
    chosen = other_layers(wanted, settings.layers, layers, "depth", name)
    head = TeacherHead(width, CLASSES, "probe", texts=False).requires_grad_(False)
    return Frozen(backbone, head, chosen, grid_of(config), device, attention=maps)


def stepper(plan: str, device: torch.device) -> Callable[[], None]:
    """A function that does one training step on random clips."""
    student, teacher, assistant, batch_size = SIZES[device.type]
    settings = TriModelSettings.model_validate({**student, **PLANS[plan]})
    shapes = {TEACHER: teacher, ASSISTANT: assistant}
    networks = {name: frozen(settings, shapes[name], name, device) for name in settings.sources}
    method = Distil(new_student(settings, CLASSES), networks, settings).to(device).train()
    optimizer = torch.optim.AdamW(method.parameters(), lr=1e-4)
    shape = (batch_size, settings.frames, 3, settings.size, settings.size)
    clip_BTCHW = torch.randint(0, 256, shape, dtype=torch.uint8, device=device)
    label_B = torch.arange(batch_size, device=device) % CLASSES
    batch, generator = (
        Batch({settings.frames: clip_BTCHW}, label_B, torch.arange(batch_size)),
        torch.Generator(),
    )

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            terms = method(batch, generator)
        sum(terms.values()).backward()
        optimizer.step()
        optimizer.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize()

    return step


def measure(device: torch.device) -> list[dict[str, object]]:
    """A row for each plan: median seconds of a step, over that of labels alone, and peak memory on a GPU."""
    steps = {plan: stepper(plan, device) for plan in PLANS}
    taken: dict[str, list[float]] = {plan: [] for plan in PLANS}
    peak: dict[str, float] = dict.fromkeys(PLANS, float("nan"))
    for number in range(ROUNDS + 1):
        for plan in list(PLANS) if number % 2 else reversed(PLANS):
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats()
            start = time.perf_counter()
            steps[plan]()
            if number:  # the first round warms up
                taken[plan].append(time.perf_counter() - start)
            if device.type == "cuda":
                peak[plan] = torch.cuda.max_memory_allocated() / 2**30
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu, 1 thread"
    medians = {plan: statistics.median(values) for plan, values in taken.items()}
    return [
        {"device": name, "plan": plan, "batch": SIZES[device.type][3], "step_s": value,
         "over_ce": value / medians["ce"], "peak_gib": peak[plan]}
        for plan, value in medians.items()
    ]  # fmt: skip


def main() -> None:
    """Measure, print and write the table."""
    torch.set_num_threads(1)
    rows = measure(torch.device("cpu"))
    if torch.cuda.is_available():
        rows += measure(torch.device("cuda"))
    table = pd.DataFrame(rows)
    print(table.to_string(index=False, float_format="{:.4f}".format))
    RESULTS.parent.mkdir(exist_ok=True)
    table.to_csv(RESULTS, index=False, float_format="%.4f")


if __name__ == "__main__":
    main()
