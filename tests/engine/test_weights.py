"""Weights from real files, good and bad, and loads that must be refused."""

from __future__ import annotations

import math
from collections import OrderedDict

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from vidkd.engine.run import write_files
from vidkd.engine.weights import load_covered, read_weights
from vidkd.errors import UserError

HTML = b"<!DOCTYPE html><html><body>404 Not Found</body></html>\n"
KNOWN = "ResNet18_Weights.IMAGENET1K_V1"
CACHED = "hub/checkpoints/resnet18-f37072fd.pth"


@pytest.fixture
def weights():
    generator = torch.Generator().manual_seed(0)
    return {
        "conv.weight": torch.randn(4, 3, generator=generator),
        "fc.bias": torch.randn(2, generator=generator),
    }


class Network(nn.Module):
    """What these weights are of."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Linear(3, 4, bias=False), nn.Module()
        self.fc.bias = nn.Parameter(torch.zeros(2))
        self.register_buffer("attn_mask", torch.zeros(3, 3))


def same(found, weights) -> bool:
    return set(found) == set(weights) and all(torch.equal(found[name], weights[name]) for name in weights)


@pytest.mark.parametrize("wrapper", ["", "module", "model", "state_dict"])
def test_a_pth_file_bare_or_wrapped(tmp_path, weights, wrapper):
    content = {wrapper: weights, "epoch": 3} if wrapper else weights
    torch.save(content, tmp_path / "w.pth")
    assert same(read_weights(str(tmp_path / "w.pth")), weights)


def test_a_checkpoint_of_a_wrapped_network(tmp_path, weights):
    """As DataParallel names its parameters, in the dictionary that trainers write."""
    parallel = OrderedDict((f"module.{name}", value) for name, value in weights.items())
    torch.save({"state_dict": parallel, "arch": "resnet50"}, tmp_path / "w.pth.tar")
    assert same(read_weights(str(tmp_path / "w.pth.tar")), weights)


def test_a_safetensors_file(tmp_path, weights):
    save_file(weights, tmp_path / "w.safetensors")
    assert same(read_weights(str(tmp_path / "w.safetensors")), weights)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_weights_that_are_no_numbers_are_neither_read_nor_written(tmp_path, weights, value):
    weights["fc.bias"][1] = value
    with pytest.raises(UserError, match=r"became NaN or infinite in training \(fc\.bias\): lower lr"):
        write_files(tmp_path / "run", [], {}, weights)
    assert not (tmp_path / "run").exists()
    with pytest.raises(UserError, match=r"weights: w has values that are NaN or infinite \(fc\.bias\)"):
        load_covered(Network(), weights, (), "w")


def test_a_mask_may_be_infinite_and_no_nan(weights):
    """As that of CLIP's text network is; what is not loaded may be anything."""
    weights |= {"attn_mask": torch.full((3, 3), -math.inf).triu(1), "observer.min": torch.tensor(math.inf)}
    load_covered(Network(), weights, (), "w")
    weights["attn_mask"][0, 0] = math.nan
    with pytest.raises(UserError, match=r"w has values that are NaN or infinite \(attn_mask\)"):
        load_covered(Network(), weights, (), "w")


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("content", [HTML, b""], ids=["page", "empty"])
def test_a_web_page_or_nothing_instead_of_weights(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(
        UserError, match=rf"{name} (cannot be read|is not a safetensors file).*Fetch it again"
    ):
        read_weights(str(tmp_path / name))


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("kept", [0.5, 0.95])
def test_a_download_cut_short(tmp_path, weights, name, kept):
    path = tmp_path / name
    save_file(weights, path) if path.suffix == ".safetensors" else torch.save(weights, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(UserError, match=rf"{name} .*Fetch it again"):
        read_weights(str(path))


@pytest.mark.parametrize("content", [torch.zeros(3), {"epoch": 3}, {1: torch.zeros(3)}, [torch.zeros(3)]])
def test_a_file_of_something_else(tmp_path, content):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(UserError, match=r"w\.pth holds no state dict"):
        read_weights(str(tmp_path / "w.pth"))


@pytest.mark.parametrize("name", ["nowhere/w.pth", "nowhere/w.safetensors"])
def test_a_missing_file(tmp_path, name):
    with pytest.raises(UserError, match=r"does not exist\. Give a .safetensors or .pth file"):
        read_weights(str(tmp_path / name))


@pytest.mark.parametrize(
    "name", ["ResNet50_Weights.IMAGENET1K_V9", "ResNet9_Weights.IMAGENET1K_V1", "imagenet"]
)
def test_torchvision_weights_that_do_not_exist(name):
    with pytest.raises(UserError, match=f"torchvision knows no weights named '{name}', such as ResNet50"):
        read_weights(name)


def test_torchvision_weights_from_its_cache(tmp_path, weights, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / CACHED).parent.mkdir(parents=True)
    torch.save(weights, tmp_path / CACHED)
    assert same(read_weights(KNOWN), weights)


def test_a_damaged_file_in_torchvisions_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / CACHED).parent.mkdir(parents=True)
    (tmp_path / CACHED).write_bytes(HTML)
    with pytest.raises(UserError, match=rf"{KNOWN} .*cannot be read .*[Dd]elete"):
        read_weights(KNOWN)


class Net(nn.Module):
    """1000 parameters in the body, 20 in the classifier, 10 and 10 statistics in the norm."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(99, 10)
        self.fc = nn.Linear(2, 10, bias=False)
        self.norm = nn.BatchNorm1d(5)


def test_a_partial_load_is_refused_with_what_is_missing():
    network, source = Net(), Net()
    found = {name: value for name, value in source.state_dict().items() if name != "fc.weight"}
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(UserError, match=r"w\.pth fits only 98\.08% .*: fc\.weight\).*another architecture"):
        load_covered(network, found, (), "w.pth")
    assert same(network.state_dict(), before)


def test_a_tensor_of_another_shape_is_a_missing_one():
    network = Net()
    found = dict(Net().state_dict()) | {"stem.weight": torch.zeros(10, 98)}
    with pytest.raises(UserError, match=r"fits only 4\.81% .*: stem\.weight\)"):
        load_covered(network, found, (), "w.pth")


def test_many_missing_ones_are_not_all_named():
    with pytest.raises(
        UserError, match=r"fits only 0\.00% .*stem\.weight, stem\.bias, fc\.weight, norm\.weight …"
    ):
        load_covered(Net(), {"other": torch.zeros(3)}, (), "w.pth")


@pytest.mark.parametrize("missing", ["norm.", "norm.running_"])
def test_99_percent_are_not_enough(missing):
    """A norm is a small part of a network, and a network with a wrong norm says anything."""
    found = {name: value for name, value in Net().state_dict().items() if not name.startswith(missing)}
    with pytest.raises(UserError, match=r"fits only 9[89]\.\d+% .*: norm\."):
        load_covered(Net(), found, (), "w.pth")


def test_fresh_parts_keep_their_start():
    network, source = Net(), Net()
    found = {name: value for name, value in source.state_dict().items() if not name.startswith("fc.")}
    start = network.fc.weight.detach().clone()
    load_covered(network, found, (".fc.",), "w.pth")
    assert torch.equal(network.fc.weight, start)
    assert torch.equal(network.stem.weight, source.stem.weight)


def test_fresh_parts_do_not_excuse_the_others():
    with pytest.raises(UserError, match=r"fits only 0\.98% .*: stem\.weight, stem\.bias, norm\.running_mean"):
        load_covered(Net(), {"norm.weight": torch.ones(5), "norm.bias": torch.ones(5)}, (".fc.",), "w.pth")
