"""The figure of students: frames of a few test clips, and the weight that temporal pooling gives to each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vidkd.artefacts import read_json
from vidkd.data.frames import FrameStore
from vidkd.data.sampling import evaluation_positions
from vidkd.evaluate.classes import read_predictions
from vidkd.methods.inputs import Inputs
from vidkd.methods.student.settings import StudentSettings
from vidkd.plotting import STYLE, save_figure

_Attended = tuple[str, NDArray[np.uint8], NDArray[np.float64]]
"""Title, frames (T, H, W, 3) and weights (T)."""


def draw_attention(inputs: Inputs, figures: Sequence[Path]) -> None:
    """Draw a row for each of a few clips: its frames, and the weight of each."""
    clips = attended_clips(inputs)
    frames, rows = max(len(weights) for _, _, weights in clips), len(clips)
    with mpl.rc_context(STYLE):
        # Placed by hand: a layout engine moves nested grids by the last bit from run to run.
        figure = Figure(figsize=(1.3 * frames + 0.3, 2.2 * rows))
        for number, (title, images, weights) in enumerate(clips):
            top, bottom = 1 - (number + 0.14) / rows, 1 - (number + 0.98) / rows
            figure.text(0.02, 1 - (number + 0.1) / rows, title, fontsize=9, parse_math=False)
            grid = figure.add_gridspec(
                2, frames, left=0.02, right=0.98, top=top, bottom=bottom, height_ratios=[3, 1], wspace=0.06,
                hspace=0.02,
            )  # fmt: skip
            for place, (image, weight) in enumerate(zip(images, weights, strict=True)):
                _draw_frame(figure.add_subplot(grid[0, place]), image)
                _draw_weight(figure.add_subplot(grid[1, place]), weight, max(weights))
        save_figure(figure, figures)


def _draw_frame(axes: Axes, image: NDArray[np.uint8]) -> None:
    axes.imshow(image)
    axes.set_axis_off()


def _draw_weight(axes: Axes, weight: float, largest: float) -> None:
    """A bar beside which those of the other frames stand, as high as the largest at most."""
    axes.bar([0], [weight], color="C0", width=0.6)
    axes.text(0, weight, f"{weight:.2f}", ha="center", va="bottom", fontsize=7)
    axes.set(xlim=(-0.5, 0.5), ylim=(0, 1.5 * largest))
    axes.set_axis_off()


def attended_clips(inputs: Inputs, clips: int = 6) -> list[_Attended]:
    """The first clip of each class, up to `clips` of them, by video id.

    Args:
        inputs: predictions and `config.json` of a student, and test frames.
        clips: how many at most.

    Raises:
        UserError: a frame store cannot be read.
    """
    config = read_json(inputs.result("config"))
    settings = StudentSettings.model_validate(config["settings"])
    table = read_predictions(inputs.result("predictions")).sort_values("video_id")
    first = table.groupby("label_id").head(1).sort_values("label_id").head(clips)
    store = FrameStore(inputs.frames("test"))
    row_of = {name: row for row, name in enumerate(store.video_ids)}
    positions = evaluation_positions(store.per_video, settings.frames, settings)
    found: list[_Attended] = []
    for row in first.to_dict("records"):
        label, pred = (config["classes"][row[name]] for name in ("label_id", "pred"))
        said = "" if label == pred else f", taken for {pred}"
        weights = np.array([row[f"a_{t}"] for t in range(settings.frames)])
        images = store.clip(row_of[row["video_id"]], positions)
        found.append((f"{row['video_id']}: {label}{said}", images, weights))
    return found
