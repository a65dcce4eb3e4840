"""Run a trained fusion head on the test split, and on all rows of any."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from vidkd.engine.run import read_config
from vidkd.features.batches import FeatureJoin
from vidkd.features.tokens import check_finite
from vidkd.methods.fusion.load import load_fusion
from vidkd.methods.fusion.method import Fuse
from vidkd.methods.fusion.settings import FusionSettings
from vidkd.methods.probes.predict import write_predictions


def predict(weights: Path, test: FeatureJoin, predictions: Path) -> None:
    """Write a row for each clip: `video_id, label_id, pred, s_0, …` (`s_{label_id}`: probabilities).

    Args:
        weights: `model.safetensors` beside its `config.json`.
        test: the test split.
        predictions: csv to write.

    Raises:
        UserError: the weights cannot be used, or a feature is damaged, NaN or infinite.
    """
    batch_size = FusionSettings.model_validate(read_config(weights)["settings"]).batch_size
    logit_BK = logits(load_fusion(weights), test, batch_size, torch.device("cpu"))
    write_predictions(predictions, test, logit_BK)


@torch.no_grad()
def logits(method: Fuse, join: FeatureJoin, batch_size: int, device: torch.device) -> Tensor:
    """Logits (N, K) of all rows in order, in float32 and on the CPU.

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
    """How far the gate of each teacher is open, 0 to 1, over all rows; empty where nothing is gated."""
    sums: dict[str, float] = {}
    for batch in join.in_order(batch_size):
        _, gates = method.model.fused(method.inputs(batch.features))
        for name, gate_BN1 in gates.items():
            sums[name] = sums.get(name, 0.0) + gate_BN1.double().mean((1, 2)).sum().item()
    return {name: total / len(join) for name, total in sums.items()}
