"""What a clip costs each network, and each ensemble of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from vidkd.evaluate.cost import Part, clip_part, measure, write_rows
from vidkd.methods.ffn.predict import load_networks


def measure_networks(
    variants: Mapping[str, Sequence[Path]], frames: int, output: Path, rounds: int = 30
) -> None:
    """Write a row for each, with the columns of `vidkd.evaluate.cost`.

    Args:
        variants: `model.safetensors` by variant; several are an ensemble, whose members see the clip one
            after the other.
        frames: of the clip.
        output: csv to write.
        rounds: how often each is timed.

    Raises:
        UserError: a network cannot be loaded, or members do not fit together.
    """
    parts = [_part(name, weights, frames) for name, weights in variants.items()]
    write_rows(measure(parts, rounds), output)


def _part(name: str, weights: Sequence[Path], frames: int) -> Part:
    networks, settings = load_networks(weights)
    return clip_part(name, networks, frames, settings.size, weights)
