"""Where a network starts from: an ImageNet ResNet, another variant's weights, or its own trained ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from vidkd.engine.run import read_config
from vidkd.engine.weights import load_covered, read_weights
from vidkd.methods.ffn.model import Network, TSMResNet, build_model
from vidkd.methods.ffn.settings import FFNSettings, nearest_count

_PER_COUNT = re.compile(r"^(?P<before>.*\b(?:bn\d|downsample\.1))\.(?P<count>\d+)\.(?P<after>\w+)$")


def start_from(model: Network, settings: FFNSettings, init_from: Path | None) -> None:
    """Load the weights that `settings` name; with none, the network keeps its random start.

    Every frame count's BatchNorm starts from the same one: the nearest count's of the source, or the only one
    of an image network. From an image network, the classifier is new.

    Raises:
        UserError: the weights cannot be read or are of another architecture.
    """
    source = str(init_from) if init_from is not None else settings.weights
    if source is None:
        return
    weights = read_weights(source)
    fresh = (".alteration.",) if init_from is not None else (".alteration.", ".fc.")
    if init_from is None:
        weights = {name: value for name, value in weights.items() if not name.startswith("fc.")}
    networks = [model] if isinstance(model, TSMResNet) else model.networks.values()
    for network in networks:
        names = network.state_dict()
        found = {name: value for name in names if (value := _source_of(name, weights)) is not None}
        load_covered(network, found, fresh, source)


def load_network(weights: Path) -> tuple[Network, FFNSettings, list[str]]:
    """Load a trained network in evaluation mode, with its settings and its classes.

    Raises:
        UserError: `config.json` is missing beside the weights, or they do not fit it.
    """
    config = read_config(weights)
    settings = FFNSettings.model_validate(config["settings"])
    network = build_model(settings, len(config["classes"]))
    load_covered(network, read_weights(str(weights)), (), str(weights))
    return network.eval().requires_grad_(False), settings, config["classes"]


def _source_of(name: str, weights: Mapping[str, Tensor]) -> Tensor | None:
    if name in weights:
        return weights[name]
    match = _PER_COUNT.match(name)
    if match is None:
        return None
    before, after = match["before"], match["after"]
    if f"{before}.{after}" in weights:
        return weights[f"{before}.{after}"]
    pattern = re.compile(rf"^{re.escape(before)}\.(\d+)\.{after}$")
    counts = [int(found[1]) for key in weights if (found := pattern.match(key))]
    return weights[f"{before}.{nearest_count(counts, int(match['count']))}.{after}"] if counts else None
