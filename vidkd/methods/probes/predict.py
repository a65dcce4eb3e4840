"""Run a fitted head on the test split."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn

from vidkd.engine.run import read_config
from vidkd.engine.weights import load_covered, read_file
from vidkd.features.batches import FeatureJoin
from vidkd.files import atomic
from vidkd.methods.probes.model import build_model
from vidkd.methods.probes.rows import tokens
from vidkd.methods.probes.settings import HeadSettings


def predict(weights: Path, test: FeatureJoin, predictions: Path) -> None:
    """Write a row for each clip: `video_id, label_id, pred, s_0, …` (`s_{label_id}`: probabilities).

    Args:
        weights: `model.safetensors` beside its `config.json`.
        test: the test split.
        predictions: csv to write.

    Raises:
        UserError: a feature is NaN or infinite.
    """
    model = load_probe(weights)
    logit_BK = logits(model, test, torch.device("cpu"))
    write_predictions(predictions, test, logit_BK)


def write_predictions(path: Path, join: FeatureJoin, logit_BK: Tensor) -> None:
    """Write a row for each clip: `video_id, label_id, pred, s_0, …` (`s_{label_id}`: probabilities)."""
    table = pd.DataFrame(
        {"video_id": join.video_ids, "label_id": join.label_ids, "pred": logit_BK.argmax(1).numpy()}
    )
    scores = pd.DataFrame({f"s_{k}": column.numpy() for k, column in enumerate(logit_BK.softmax(1).T)})
    with atomic(path) as temporary:
        pd.concat([table, scores], axis=1).to_csv(temporary, index=False, float_format="%.6g")


def load_probe(weights: Path) -> nn.Module:
    """A fitted head in evaluation mode.

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
    """Logits (N, K) of all rows in order, in float32 and on the CPU."""
    return torch.cat([model(feature_BND.to(device)).float().cpu() for feature_BND in tokens(join)])
