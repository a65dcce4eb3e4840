"""Run trained networks on the test split at every frame count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from vidkd.data.clips import Batch, check_clips, evaluation_loader
from vidkd.data.frames import FrameStore
from vidkd.engine.cpu import use_cpu
from vidkd.engine.efficiency import count_parameters, gflops
from vidkd.errors import UserError
from vidkd.evaluate.cost import Part, clip_part
from vidkd.evaluate.scores import score_clips
from vidkd.methods.ffn.settings import FFNSettings, PredictSettings
from vidkd.methods.ffn.start import load_network
from vidkd.methods.inputs import Inputs
from vidkd.methods.predict import Predicted

# Larger ones are no faster, and a clip has up to 136 frames when every count to 16 is asked for.
_BATCH_SIZE = 32


def predict(inputs: Inputs, settings: Mapping[str, Any], workers: int = 0) -> Predicted:
    """Predict every clip at every frame count, with probabilities at some.

    Args:
        inputs: the network, or the members of an ensemble, whose probabilities are averaged; test frames.
        settings: of PredictSettings: the frame counts.
        workers: loader processes.

    Returns:
        Columns `video_id, label_id, pred_1f, …, s4_0, …` (`s{count}_{label_id}`), and as cost parameters, and
        GFLOPs (multiply-adds) of a clip at every frame count.

    Raises:
        UserError: the networks disagree about classes or size, or do not fit their weights.
    """
    own = PredictSettings.model_validate(settings)
    networks, trained = _load_networks([file for files in inputs.runs.values() for file in files])
    use_cpu(trained.cpu_threads)
    store = FrameStore(inputs.frames("test"))
    counts = range(1, own.max_count + 1)
    if wrong := [count for count in own.score_counts if count not in counts]:
        raise UserError(f"ffn.predict.score_counts: {wrong} are above max_count {own.max_count}.")
    check_clips(store, own.max_count, trained, trained.eval_frame_sampling)
    probability = _probabilities(networks, store, counts, trained, workers)
    columns = {"video_id": store.video_ids, "label_id": store.label_ids}
    columns |= {f"pred_{count}f": probability[count].argmax(1).numpy() for count in counts}
    for count in own.score_counts:
        columns |= {f"s{count}_{k}": column.numpy() for k, column in enumerate(probability[count].T)}
    cost = {str(count): sum(gflops(network, count, trained.size) for network in networks) for count in counts}
    params = sum(count_parameters(network) for network in networks)
    return Predicted(columns, {"params": params, "gflops": cost})


def parts(inputs: Inputs, settings: Mapping[str, Any]) -> list[Part]:
    """Name what is measured: a clip of `frames` frames through each network, or each of an ensemble."""
    found = []
    for name, weights in inputs.runs.items():
        networks, trained = _load_networks(weights)
        found.append(clip_part(name, networks, settings["frames"], trained.size, weights))
    return found


def _load_networks(weights: Sequence[Path]) -> tuple[list[nn.Module], FFNSettings]:
    """Load the networks, and the settings of the first: all see the same clips.

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

    loader = evaluation_loader(store, counts, trained, _BATCH_SIZE, workers)
    return score_clips(mean_probability, loader, device)
