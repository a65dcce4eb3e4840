"""Operations, parameters and memory of networks, against published figures and by hand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import timm
import torch
from torch import nn
from torchvision.models import resnet18, resnet50

from vidkd.engine.efficiency import count_parameters, gflops, gflops_of
from vidkd.evaluate.cost import Part, clip_part, measure, peak_mb, random_clips, write_rows
from vidkd.methods.ffn.model import build_model
from vidkd.methods.ffn.settings import FFNSettings

COLUMNS = [
    "variant", "frames", "params", "gflops", "size_mb", "peak_mb", "ms_1", "ms_1_low", "ms_1_high",
    "ms_2", "ms_2_low", "ms_2_high",
]  # fmt: skip
CPU = torch.device("cpu")


# ---- operations and parameters


def test_cost_of_tsm_r50_is_the_published_one():
    # mmaction2: 23.87 M parameters, 65.8 GFLOPs at 16 frames; 0.6% are norms and pools, not counted here.
    model = build_model(FFNSettings(arch="resnet50", frame_counts=(16,), weight_alteration=False), 174).eval()
    assert count_parameters(model) / 1e6 == pytest.approx(23.87, abs=0.01)
    assert gflops(model, 16, 224) == pytest.approx(65.8, rel=0.01)


def test_a_frame_costs_what_torchvisions_resnet_costs():
    # torchvision publishes 1.814 GFLOPs for ResNet-18 at 224.
    model = build_model(FFNSettings(arch="resnet18", frame_counts=(1,), weight_alteration=False), 1000).eval()
    assert gflops(model, 1, 224) == pytest.approx(1.814, abs=0.01)
    assert count_parameters(model) == count_parameters(resnet18())


def test_resnet50_costs_what_torchvision_publishes():
    model, image = resnet50().eval(), torch.zeros(1, 3, 224, 224)
    assert count_parameters(model) == 25_557_032
    assert gflops_of(lambda: model(image)) == pytest.approx(4.089, abs=0.0005)


def test_mobilevit_costs_what_timm_publishes():
    # timm's results/benchmark-infer-amp-nchw-pt113-cu117-rtx3090.csv: 0.42 GMACs at 256, 1.27 M parameters.
    # It counts norms as well (of ResNet-50 4.11), which are 3% here.
    model, image = timm.create_model("mobilevit_xxs").eval(), torch.zeros(1, 3, 256, 256)
    assert count_parameters(model) == 1_272_024
    assert gflops_of(lambda: model(image)) == pytest.approx(0.42, rel=0.04)


def test_attention_is_counted():
    """Two products of 5 x 5 tokens of 12 values in each of 3 heads: one multiply-add is one."""
    tokens_1HND = torch.zeros(1, 3, 5, 12)
    run = lambda: nn.functional.scaled_dot_product_attention(*[tokens_1HND] * 3)  # noqa: E731
    assert gflops_of(run) == pytest.approx(2 * 3 * 5 * 5 * 12 / 1e9)


# ---- memory

BATCH, WIDTH, HIDDEN = 50, 100, 1000
UNIT = BATCH * HIDDEN * 4
"""Bytes of a hidden layer's values."""


def hidden_layers() -> tuple[nn.Module, torch.Tensor]:
    layers = [nn.Linear(WIDTH, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, 10)]
    return nn.Sequential(*layers).requires_grad_(False), torch.zeros(BATCH, WIDTH)


def test_a_chain_holds_two_layers_at_a_time():
    network, x_BD = hidden_layers()
    for _ in range(3):
        assert peak_mb(lambda: network(x_BD), CPU) == 2 * UNIT / 1e6


def test_a_residual_holds_three():
    """Its input, what is added to it, and the sum."""
    first, second = (nn.Linear(width, HIDDEN).requires_grad_(False) for width in (WIDTH, HIDDEN))
    x_BD = torch.zeros(BATCH, WIDTH)

    def run() -> torch.Tensor:
        y_BD = first(x_BD)
        return y_BD + second(y_BD)

    assert peak_mb(run, CPU) == 3 * UNIT / 1e6


def test_a_clip_is_not_counted_and_what_it_becomes_is():
    clip_1TCHW = random_clips(1, 4, 32)
    assert peak_mb(lambda: clip_1TCHW.float(), CPU) == clip_1TCHW.numel() * 4 / 1e6
    assert peak_mb(lambda: clip_1TCHW.float().relu_(), CPU) == clip_1TCHW.numel() * 4 / 1e6


def test_what_is_made_once_is_not_counted():
    made = []

    def run() -> None:
        if not made:
            made.append(torch.zeros(1_000_000))
        torch.zeros(250)

    assert peak_mb(run, CPU) == 0.001


def test_members_one_after_the_other_take_the_memory_of_one():
    def peak(members: int) -> float:
        networks = [build_model(FFNSettings(arch="resnet_tiny"), 6).eval() for _ in range(members)]
        return peak_mb(clip_part("a", networks, 8, 32, []).run, CPU)

    assert peak(1) <= peak(3) <= peak(1) * 1.01


PROCESS = """
import ctypes, pathlib, re
import vidkd.torchvision_ops
import torch, torchvision
from vidkd.evaluate.cost import peak_mb

def status(key):
    return int(re.search(rf"{key}:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1]) * 1024 / 1e6

torch.set_num_threads(1)
network, images = torchvision.models.resnet18().eval(), torch.zeros(8, 3, 224, 224)
with torch.inference_mode():
    network(images), network(images)
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    network(images)
    print(status("VmHWM") - before, peak_mb(lambda: network(images), torch.device("cpu")))
"""


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="no peak of a process to read")
def test_it_is_what_the_process_grows_by():
    """Where malloc gives back at once what is free; otherwise a process keeps a third more, now and then."""
    returned = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
    done = subprocess.run(
        [sys.executable, "-c", PROCESS], env=os.environ | returned, capture_output=True, text=True, check=True
    )
    grown, counted = map(float, done.stdout.split())
    assert counted == pytest.approx(grown, rel=0.02)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_holds_as_much():
    """Rounded up to blocks of 512 bytes."""
    network, x_BD = hidden_layers()
    network, x_BD = network.cuda(), x_BD.cuda()
    found = peak_mb(lambda: network(x_BD), torch.device("cuda"))
    assert found == pytest.approx(2 * UNIT / 1e6, abs=2 * 512 / 1e6)


def test_a_device_that_cannot_tell_has_an_empty_cell():
    assert peak_mb(lambda: None, torch.device("meta")) is None


# ---- rows


class Tiny(nn.Module):
    """The mean colour of a clip and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 7)

    def forward(self, clip_BTCHW: torch.Tensor) -> torch.Tensor:
        return self.layer(clip_BTCHW.float().mean((1, 3, 4)))


def test_rows_say_what_a_clip_costs(tmp_path):
    weights, about = tmp_path / "model.safetensors", tmp_path / "config.json"
    weights.write_bytes(b"w" * 1500)
    about.write_text("{}")
    parts = [
        clip_part("one", [Tiny()], 4, 16, [weights, about]),
        clip_part("007", [Tiny(), Tiny()], 4, 16, [weights, weights]),
        Part("without", lambda: torch.zeros(10), 0),
    ]
    write_rows(measure(parts, rounds=3), tmp_path / "cost.csv")
    table = pd.read_csv(tmp_path / "cost.csv", dtype=str, keep_default_na=False).set_index("variant")
    assert ["variant", *table.columns] == COLUMNS
    assert list(table.index) == ["one", "007", "without"]
    assert table["frames"].tolist() == ["4", "4", ""]
    assert table["params"].tolist() == ["28", "56", "0"]
    assert table["size_mb"].tolist() == ["0.0015", "0.003", ""]
    assert table["gflops"].astype(float).tolist() == pytest.approx([21e-9, 42e-9, 0])
    # The clip as float32, and its mean as an answer.
    assert float(table.loc["one", "peak_mb"]) == pytest.approx((4 * 3 * 16 * 16 + 3) * 4 / 1e6, abs=1e-4)
    for threads in (1, 2):
        low, middle, high = (table[f"ms_{threads}{end}"].astype(float) for end in ("_low", "", "_high"))
        assert ((low >= 0) & (low <= middle) & (middle <= high)).all()


def test_rounds_take_turns(tmp_path: Path):
    seen: list[str] = []
    parts = [Part(name, lambda name=name: seen.append(name), 1) for name in "ab"]
    measure(parts, rounds=2)
    timed = 2 * (3 + 2) * 2
    assert "".join(seen[-timed:]) == "ab" * (timed // 2)
