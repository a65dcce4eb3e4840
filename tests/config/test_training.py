"""One rule for what a start is, which the settings, the workflow and the jobs share."""

from __future__ import annotations

import pytest

from vidkd.config.training import is_weights_file, torchvision_network
from vidkd.methods.ffn.settings import FFNSettings


@pytest.mark.parametrize(
    "name",
    ["w.pth", "a/w.pt", "a.b/w.bin", "w.pth.tar", "w.safetensors", "a/ResNet50_Weights.pth"],
)
def test_files(name):
    assert is_weights_file(name)
    assert torchvision_network(name) is None
    assert FFNSettings(arch="resnet18", weights=name).weights == name


@pytest.mark.parametrize("name", ["ResNet50_Weights.IMAGENET1K_V1", "ResNet50_Weights.DEFAULT"])
def test_torchvision_names(name):
    assert not is_weights_file(name)
    assert torchvision_network(name) == "resnet50"
    assert FFNSettings(weights=name).weights == name


@pytest.mark.parametrize("name", ["", "imagenet", "w.pkl", "folder/", "ResNet50_Weights", "a/R_Weights.V1"])
def test_neither(name):
    with pytest.raises(ValueError, match=r"found .*; allowed: a torchvision name, such as .* \.bin, \.tar"):
        FFNSettings(weights=name)
