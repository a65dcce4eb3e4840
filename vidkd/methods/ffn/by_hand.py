"""The options of seed 004 that are no settings, for training and evaluating by hand."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import torch
from accelerate import Accelerator

from vidkd.config.options import PATH, with_options
from vidkd.data.clips import check_clips, evaluation_loader
from vidkd.data.frames import FrameStore
from vidkd.engine.accuracy import accuracy_by_count
from vidkd.engine.cpu import use_cpu
from vidkd.errors import UserError
from vidkd.evaluate.scores import score_clips
from vidkd.methods.ffn.settings import FFNSettings
from vidkd.methods.ffn.start import load_network
from vidkd.methods.inputs import Inputs
from vidkd.methods.needs import Needs

_TEST_RUN_BATCHES = 2

_COUNT = click.IntRange(min=1)
_OPTIONS = (
    click.option("--num-frames-h", type=_COUNT, help="High frame count (with -m and -l: --frame-counts)."),
    click.option("--num-frames-m", type=_COUNT, help="Medium frame count."),
    click.option("--num-frames-l", type=_COUNT, help="Low frame count."),
    click.option("--test-run", is_flag=True, help="One epoch of two batches, to see that everything works."),
    click.option(
        "--eval-only", is_flag=True, help="No training: accuracy of the weights in --resume on validation."
    ),
    click.option(
        "--resume",
        type=PATH,
        help="Weights (.safetensors) to start from or to evaluate. A stopped run goes on by itself.",
    ),
)


def seed_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options; `function` is called for a training only, with `max_batches`."""

    @functools.wraps(function)
    def wrapped(
        *,
        settings: FFNSettings,
        needs: Needs,
        workers: int,
        resume: Path | None,
        test_run: bool,
        eval_only: bool,
        num_frames_l: int | None,
        num_frames_m: int | None,
        num_frames_h: int | None,
        **others: Any,
    ) -> None:
        settings = _with_counts(settings, num_frames_l, num_frames_m, num_frames_h)
        if eval_only:
            if resume is None:
                raise UserError("--eval-only needs --resume CKPT: the weights to evaluate.")
            found = accuracies(resume, Inputs(needs).frames("val"), settings.frame_counts, workers)
            click.echo(json.dumps(found, indent=2))
            return
        if test_run:
            settings = settings.model_copy(update={"epochs": 1})
        if resume is not None:
            needs = needs.model_copy(update={"results": {"init": (str(resume),), **needs.results}})
        batches = _TEST_RUN_BATCHES if test_run else None
        function(settings=settings, needs=needs, workers=workers, max_batches=batches, **others)

    return with_options(wrapped, _OPTIONS)


def accuracies(weights: Path, shards: list[Path], counts: Sequence[int], workers: int) -> dict[str, float]:
    """Measure the top-1 accuracy of one network on `shards`, as seed 004 does.

    Returns:
        Percent by frame count as `acc_4f, …`, and `tfd_gap`.
    """
    network, settings, _ = load_network(weights)
    use_cpu(settings.cpu_threads)
    store, device = FrameStore(shards), Accelerator().device
    check_clips(store, max(counts), settings, settings.eval_frame_sampling)
    network.to(device)
    loader = evaluation_loader(store, counts, settings, settings.batch_size, workers)
    scores = score_clips(
        lambda batch: {count: network(clip) for count, clip in batch.clips.items()}, loader, device
    )
    accuracy = accuracy_by_count(scores, torch.from_numpy(store.label_ids))
    gap = accuracy[max(counts)] - accuracy[min(counts)]
    return {f"acc_{count}f": value for count, value in accuracy.items()} | {"tfd_gap": gap}


def _with_counts(settings: FFNSettings, low: int | None, medium: int | None, high: int | None) -> FFNSettings:
    """Settings whose frame counts come from the three options, when any of them is given."""
    if not (low or medium or high):
        return settings
    counts = sorted({low or 4, medium or 8, high or 16})
    return FFNSettings.model_validate(settings.model_dump() | {"frame_counts": counts})
