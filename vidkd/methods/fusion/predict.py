"""Run a trained fusion head on the test split, and on all rows of any."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vidkd.engine.cpu import use_cpu
from vidkd.engine.run import NETWORK, read_config
from vidkd.engine.weights import load_covered, read_file
from vidkd.errors import UserError
from vidkd.features.batches import FeatureJoin
from vidkd.features.meta import FeatureMeta
from vidkd.features.tokens import check_finite
from vidkd.methods.converters.load import DECIDING
from vidkd.methods.converters.model import build_converter
from vidkd.methods.converters.pairs import lacking
from vidkd.methods.converters.settings import ConverterSettings
from vidkd.methods.fusion.method import Fuse
from vidkd.methods.fusion.model import FusionHead
from vidkd.methods.fusion.settings import FusionSettings
from vidkd.methods.fusion.sources import converting, is_given, open_features
from vidkd.methods.inputs import Inputs
from vidkd.methods.predict import Predicted, class_columns

_CONVERTERS = "converters."
"""Beginning of the names of converters that were trained with the head."""


def predict(inputs: Inputs, settings: Mapping[str, Any], workers: int = 0) -> Predicted:
    """Predict every test clip.

    Args:
        inputs: `head`, and what `open_test` reads.
        settings: nothing.
        workers: features need none.

    Raises:
        UserError: the weights cannot be used, or a feature is missing, damaged, NaN or infinite.
    """
    weights = inputs.weights("head")
    config = read_config(weights)
    method, own = load_fusion(weights), FusionSettings.model_validate(config["settings"])
    use_cpu(own.cpu_threads)
    test = open_test(weights, inputs)
    logit_BK = logits(method, test, own.batch_size, torch.device("cpu"))
    return Predicted(class_columns(test.video_ids, test.label_ids, logit_BK), {"params": config["params"]})


def load_fusion(weights: Path) -> Fuse:
    """Load a trained fusion head in evaluation mode, with the converters that were trained with it.

    Args:
        weights: `model.safetensors` beside its `config.json`.

    Raises:
        UserError: a file is missing, damaged or none of a fusion head, or the two do not fit.
    """
    config = read_config(weights)
    if missing := {"sources", "student", "classes", "settings"} - config.keys():
        raise UserError(
            f"{weights} is no fusion head: {weights.with_name('config.json')} has no "
            f"{', '.join(sorted(missing))}. Give the model.safetensors of a fusion run."
        )
    settings = FusionSettings.model_validate(config["settings"])
    shapes = {name: tuple(source["shape"]) for name, source in config["sources"].items()}
    converters = {
        name: build_converter(
            ConverterSettings.model_validate(made["settings"]),
            tuple(made["student_shape"]),
            tuple(made["teacher_shape"]),
        )
        for name, source in config["sources"].items()
        if (made := source.get("converter"))
    }
    head = FusionHead(shapes, len(config["classes"]), settings)
    method = Fuse(head, converters, config["student"], settings.gate_sparsity)
    state = {
        name if name.startswith(_CONVERTERS) else f"{NETWORK}{name}": value
        for name, value in read_file(weights).items()
    }
    load_covered(method, state, (), str(weights))
    return method.eval().requires_grad_(False)


def open_test(weights: Path, inputs: Inputs) -> FeatureJoin:
    """Open the test features that a head takes, joined.

    Args:
        weights: of the head.
        inputs: features as in its training; where those of a teacher are not given, its converter.

    Raises:
        UserError: some are missing, of another network than the head was trained on, or of other videos.
    """
    config = read_config(weights)
    sources, student = config["sources"], config["student"]
    needed = [name for name, source in sources.items() if source["kind"] != "finetuned"]
    if len(needed) < len(sources) and student not in needed:
        needed.append(student)
    given = [name for name in needed if is_given(name, inputs)]
    made = [name for name in needed if name not in given and name in inputs.runs]
    if missing := [name for name in needed if name not in (*given, *made)]:
        raise UserError(
            f"there are no features of {missing[0]}: give --feature-stores {missing[0]}.test=FOLDER"
        )
    read = dict.fromkeys([*given, student]) if made else given
    stores = {name: open_features(name, inputs, "test")["test"] for name in read}
    for name in made:
        stores[name] = converting(name, inputs.weights(name), student, {"test": stores[student]})["test"]
    for name in sources.keys() & stores.keys():
        if wrong := FeatureMeta.read(sources[name]["meta"]).differing(stores[name].meta, DECIDING):
            raise UserError(
                f"{weights} was trained on other features of {name} than these: with {'; '.join(wrong)}. "
                "Give the test features that belong to those of the training."
            )
    allow_missing = FusionSettings.model_validate(config["settings"]).allow_missing
    join = FeatureJoin({name: stores[name] for name in needed}, allow_missing)
    lacking("test", join)
    return join


@torch.no_grad()
def logits(method: Fuse, join: FeatureJoin, batch_size: int, device: torch.device) -> Tensor:
    """Return logits (N, K) of all rows in order, in float32 and on the CPU.

    Raises:
        UserError: a feature is damaged, NaN or infinite.
    """
    found: list[Tensor] = []
    for batch in join.in_order(batch_size):
        check_finite(batch, join)
        found.append(method.logits(batch.to(device).features).float().cpu())
    return torch.cat(found)


@torch.no_grad()
def mean_gates(method: Fuse, join: FeatureJoin, batch_size: int) -> dict[str, float]:
    """Measure how far the gate of each teacher is open, 0 to 1, over all rows; empty if nothing is gated."""
    sums: dict[str, float] = {}
    for batch in join.in_order(batch_size):
        _, gates = method.model.fused(method.inputs(batch.features))
        for name, gate_BN1 in gates.items():
            sums[name] = sums.get(name, 0.0) + gate_BN1.double().mean((1, 2)).sum().item()
    return {name: total / len(join) for name, total in sums.items()}
