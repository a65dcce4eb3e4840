"""Run trained networks on the test split at every frame count."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from vidkd.config.ffn import FFNSettings, PredictSettings
from vidkd.data.clips import Batch, check_clips, evaluation_loader
from vidkd.data.frames import FrameStore
from vidkd.engine.run import read_config
from vidkd.engine.weights import load_covered, read_weights
from vidkd.errors import UserError
from vidkd.evaluate.accuracy import accuracy_by_count
from vidkd.evaluate.efficiency import count_parameters, gflops
from vidkd.evaluate.scores import score_clips
from vidkd.files import atomic, write_text
from vidkd.methods.ffn.model import build_model

BATCH_SIZE = 32


def predict(
    weights: list[Path],
    shards: list[Path],
    predictions: Path,
    efficiency: Path,
    settings: PredictSettings,
    workers: int,
) -> None:
    """Write a row for each clip: its prediction at every frame count, and probabilities at some.

    Args:
        weights: `model.safetensors` files, each beside its `config.json`; with several, their class
            probabilities are averaged.
        shards: frame stores of the test split.
        predictions: csv to write: `video_id, label_id, pred_1f, …, s4_0, …` (`s{count}_{label_id}`).
        efficiency: json to write: parameters, and GFLOPs (multiply-adds) of a clip at every frame count.
        settings: the frame counts.
        workers: loader processes.

    Raises:
        UserError: the networks disagree about classes or size, or do not fit their weights.
    """
    networks, size = _load_networks(weights)
    store = FrameStore(shards)
    counts = range(1, settings.max_count + 1)
    if wrong := [count for count in settings.score_counts if count not in counts]:
        raise UserError(f"ffn.predict.score_counts: {wrong} are above max_count {settings.max_count}.")
    check_clips(store, size, settings.max_count)
    probability = _probabilities(networks, store, counts, size, workers)
    table = pd.DataFrame({"video_id": store.video_ids, "label_id": store.label_ids})
    columns = {f"pred_{count}f": probability[count].argmax(1).numpy() for count in counts}
    for count in settings.score_counts:
        columns |= {f"s{count}_{k}": column.numpy() for k, column in enumerate(probability[count].T)}
    with atomic(predictions) as temporary:
        pd.concat([table, pd.DataFrame(columns)], axis=1).to_csv(temporary, index=False, float_format="%.6f")
    cost = {str(count): sum(gflops(network, count, size) for network in networks) for count in counts}
    report = {"params": sum(count_parameters(network) for network in networks), "gflops": cost}
    write_text(efficiency, json.dumps(report, indent=2) + "\n")


def accuracies(weights: Path, shards: list[Path], counts: Sequence[int], workers: int) -> dict[str, float]:
    """Top-1 accuracy in percent of one network on `shards`: `acc_4f, …` and `tfd_gap` (seed 004)."""
    networks, size = _load_networks([weights])
    store = FrameStore(shards)
    check_clips(store, size, max(counts))
    probability = _probabilities(networks, store, counts, size, workers)
    accuracy = accuracy_by_count(probability, torch.from_numpy(np.asarray(store.label_ids)))
    gap = accuracy[max(counts)] - accuracy[min(counts)]
    return {f"acc_{count}f": value for count, value in accuracy.items()} | {"tfd_gap": gap}


def load_network(weights: Path) -> tuple[nn.Module, FFNSettings, list[str]]:
    """A trained network in evaluation mode, its settings and its classes.

    Raises:
        UserError: `config.json` is missing beside the weights, or they do not fit it.
    """
    config = read_config(weights)
    settings = FFNSettings.model_validate(config["settings"])
    network = build_model(settings, len(config["classes"]))
    load_covered(network, read_weights(str(weights)), (), str(weights))
    return network.eval().requires_grad_(False), settings, config["classes"]


def _load_networks(weights: list[Path]) -> tuple[list[nn.Module], int]:
    """The networks and the size of their clips; the CPU gets as many threads as they were trained with."""
    loaded = [load_network(path) for path in weights]
    for path, (_, settings, classes) in zip(weights, loaded, strict=True):
        # A sum's last bit depends on the number of threads, which must not be the machine's choice.
        torch.set_num_threads(settings.cpu_threads)
        if classes != loaded[0][2] or settings.size != loaded[0][1].size:
            raise UserError(
                f"{path} was trained on other classes or another size than {weights[0]}: train both again."
            )
    return [network for network, _, _ in loaded], loaded[0][1].size


def _probabilities(
    networks: list[nn.Module], store: FrameStore, counts: Sequence[int], size: int, workers: int
) -> dict[int, Tensor]:
    """Mean class probabilities (clips, K) over the networks, by frame count."""
    device = Accelerator().device
    networks = [network.to(device) for network in networks]

    def mean_probability(batch: Batch) -> dict[int, Tensor]:
        return {
            count: torch.stack([network(clip).float().softmax(1) for network in networks]).mean(0)
            for count, clip in batch.clips.items()
        }

    return score_clips(mean_probability, evaluation_loader(store, counts, size, BATCH_SIZE, workers), device)
