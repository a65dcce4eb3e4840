"""Run a fitted head on the test split."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vidkd.engine.cpu import use_cpu
from vidkd.engine.efficiency import count_parameters
from vidkd.engine.run import read_config
from vidkd.engine.weights import load_covered, read_file
from vidkd.features.batches import FeatureJoin
from vidkd.methods.inputs import Inputs
from vidkd.methods.predict import Predicted, class_columns
from vidkd.methods.probes.model import build_model
from vidkd.methods.probes.rows import open_test, tokens
from vidkd.methods.probes.settings import HeadSettings


def predict(inputs: Inputs, settings: Mapping[str, Any], workers: int = 0) -> Predicted:
    """Predict every clip of the test split, with the probability of each class.

    Args:
        inputs: the head; its features of all splits, of which test is read.
        settings: none.
        workers: none: features are read in order.

    Raises:
        UserError: the features or labels cannot be used, or the weights do not fit their settings.
    """
    ((weights,),) = inputs.runs.values()
    test, model = open_test(inputs), load_probe(weights)
    use_cpu(read_config(weights)["settings"]["cpu_threads"])
    logit_NK = logits(model, test, torch.device("cpu"))
    columns = class_columns(test.video_ids, test.label_ids, logit_NK)
    return Predicted(columns, {"params": count_parameters(model)})


def load_probe(weights: Path) -> nn.Module:
    """Load a fitted head in evaluation mode.

    Raises:
        UserError: `config.json` is missing beside the weights, or they do not fit it.
    """
    config, state = read_config(weights), read_file(weights)
    settings = HeadSettings.model_validate({config["head"]: config["settings"]})
    width = len(state["standardise.mean"])
    model = build_model(config["head"], width, len(config["classes"]), settings)
    load_covered(model, state, (), str(weights))
    return model.eval().requires_grad_(False)


@torch.inference_mode()
def logits(model: nn.Module, join: FeatureJoin, device: torch.device) -> Tensor:
    """Return logits (N, K) of all rows in order, in float32 and on the CPU."""
    return torch.cat([model(feature_BND.to(device)).float().cpu() for feature_BND in tokens(join)])
