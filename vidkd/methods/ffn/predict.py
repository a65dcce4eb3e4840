"""Run trained networks on the test split at every frame count."""

from __future__ import annotations

import json
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path

import pandas as pd
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from vidkd.data.clips import Batch, check_clips, evaluation_loader
from vidkd.data.frames import FrameStore
from vidkd.engine.cpu import use_cpu
from vidkd.errors import UserError
from vidkd.evaluate.efficiency import count_parameters, gflops
from vidkd.evaluate.scores import score_clips
from vidkd.files import atomic, write_text
from vidkd.methods.ffn.settings import FFNSettings, PredictSettings
from vidkd.methods.ffn.start import load_network

# Larger ones are no faster, and a clip has up to 136 frames when every count to 16 is asked for.
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
    networks, trained = load_networks(weights)
    use_cpu(trained.cpu_threads)
    store = FrameStore(shards)
    counts = range(1, settings.max_count + 1)
    if wrong := [count for count in settings.score_counts if count not in counts]:
        raise UserError(f"ffn.predict.score_counts: {wrong} are above max_count {settings.max_count}.")
    check_clips(store, settings.max_count, trained, trained.eval_frame_sampling)
    probability = _probabilities(networks, store, counts, trained, workers)
    table = pd.DataFrame({"video_id": store.video_ids, "label_id": store.label_ids})
    columns = {f"pred_{count}f": probability[count].argmax(1).numpy() for count in counts}
    for count in settings.score_counts:
        columns |= {f"s{count}_{k}": column.numpy() for k, column in enumerate(probability[count].T)}
    with atomic(predictions) as temporary:
        pd.concat([table, pd.DataFrame(columns)], axis=1).to_csv(temporary, index=False, float_format="%.6f")
    cost = {str(count): sum(gflops(network, count, trained.size) for network in networks) for count in counts}
    report = {"params": sum(count_parameters(network) for network in networks), "gflops": cost}
    write_text(efficiency, json.dumps(report, indent=2) + "\n")


def load_networks(weights: Sequence[Path]) -> tuple[list[nn.Module], FFNSettings]:
    """The networks, and the settings of the first: all see the same clips.

    Raises:
        UserError: one cannot be loaded, or they disagree about classes or clips.
    """
    loaded = [load_network(path) for path in weights]
    _, first, first_classes = loaded[0]
    alike = attrgetter("size", "eval_crop", "eval_frame_sampling", "frame_stride")
    for path, (_, settings, classes) in zip(weights, loaded, strict=True):
        if classes != first_classes or alike(settings) != alike(first):
            raise UserError(
                f"{path} was trained on other classes, another size, another crop or other frames than "
                f"{weights[0]}: train both again."
            )
    return [network for network, _, _ in loaded], first


def _probabilities(
    networks: list[nn.Module],
    store: FrameStore,
    counts: Sequence[int],
    trained: FFNSettings,
    workers: int,
) -> dict[int, Tensor]:
    """Mean class probabilities (clips, K) over the networks, by frame count."""
    device = Accelerator().device
    networks = [network.to(device) for network in networks]

    def mean_probability(batch: Batch) -> dict[int, Tensor]:
        return {
            count: torch.stack([network(clip).float().softmax(1) for network in networks]).mean(0)
            for count, clip in batch.clips.items()
        }

    loader = evaluation_loader(store, counts, trained, BATCH_SIZE, workers)
    return score_clips(mean_probability, loader, device)
