"""What an exported network says of videos: each decoded as in the pipeline, or listed with what is wrong."""

from __future__ import annotations

import csv
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, TextIO

import numpy as np
import torch
from numpy.typing import NDArray

from vidkd.config.data import FrameSettings
from vidkd.data.decoded import DecodedVideo, DecodedVideos, decode_video
from vidkd.data.tables import EXCLUDED, OK, Row, table_writer
from vidkd.engine.runtime import explain_oom
from vidkd.errors import UserError
from vidkd.video.media import find_videos
from vidkd.video.video import UnreadableVideo

logger = logging.getLogger(__name__)

COLUMNS = ("path", "class", "probability", "frames", "status", "reason", "detail")


class Predictor(Protocol):
    """An exported network."""

    @property
    def classes(self) -> list[str]:
        """Names in the order of the label ids."""

    @property
    def frames(self) -> FrameSettings:
        """Which frames of a video are kept."""

    @property
    def at_once(self) -> int:
        """Videos that are decoded and seen together."""

    @property
    def positions(self) -> NDArray[np.int64]:
        """Which of the kept frames it sees, in any order and perhaps more than once."""

    def logits_of(self, videos: DecodedVideos) -> torch.Tensor:
        """Compute logits (B, K) of decoded videos."""


class Excluded(NamedTuple):
    """Why a video was not predicted."""

    reason: str
    detail: str


@dataclass(frozen=True)
class Prediction:
    """What is said of one video.

    Attributes:
        path: the video.
        label: name of the class; empty where the video cannot be used.
        probability: of the class, 0 to 1.
        frames: numbers of the frames that the network saw, each once.
        excluded: why there is no class; None where there is one.
    """

    path: Path
    label: str
    probability: float
    frames: tuple[int, ...]
    excluded: Excluded | None = None

    def row(self) -> Row:
        """Write it as a line of a table, by `COLUMNS`."""
        # A name may be any bytes; those that are no text would end the table in the middle.
        name = os.fsencode(self.path).decode("utf-8", "backslashreplace")
        if self.excluded is not None:
            why = {"status": EXCLUDED, "reason": self.excluded.reason, "detail": self.excluded.detail}
            return dict.fromkeys(COLUMNS, "") | {"path": name} | why
        frames = " ".join(map(str, self.frames))
        values = (name, self.label, f"{self.probability:.6f}", frames, OK, "", "")
        return dict(zip(COLUMNS, values, strict=True))


def videos_of(places: Iterable[Path]) -> list[Path]:
    """List the videos that are asked for: of a folder all at any depth, or itself where its images are one.

    Raises:
        UserError: none is named, or a folder cannot be listed.
    """
    found: list[Path] = []
    for place in places:
        inside = [place / path for path in find_videos(place)] if place.is_dir() else []
        found += inside or [place]
    if not found:
        raise UserError("no video is named: give files, or folders of them")
    return found


def predict_videos(network: Predictor, videos: Sequence[Path]) -> Iterator[Prediction]:
    """Predict videos in their order.

    Args:
        network: what predicts.
        videos: files, or folders of the images of one video.

    Raises:
        UserError: a feature is NaN or infinite, memory is too small, or the decoder is not installed.
    """
    batch = network.at_once
    for start in range(0, len(videos), batch):
        part = videos[start : start + batch]
        with explain_oom(f"--batch {batch}: lower it"):
            decoded = [_decoded(network, video) for video in part]
            scores = iter(_scores(network, [video for video in decoded if isinstance(video, DecodedVideo)]))
        for path, video in zip(part, decoded, strict=True):
            if isinstance(video, Excluded):
                logger.warning("%s: %s (%s)", path, video.detail, video.reason)
                yield Prediction(path, "", 0.0, (), video)
            else:
                yield _prediction(network, path, video, next(scores))


def write_predictions(predictions: Iterable[Prediction], output: Path | TextIO) -> int:
    """Write a row for each video with `COLUMNS`, to a file atomically or to a stream as they come.

    Returns:
        How many videos could not be used.

    Raises:
        UserError: the file cannot be written.
    """
    excluded = 0
    with ExitStack() as stack:
        if isinstance(output, Path):
            table = stack.enter_context(table_writer(output, COLUMNS))
        else:
            table = csv.DictWriter(output, COLUMNS, lineterminator="\n")
            table.writeheader()
        for prediction in predictions:
            table.writerow(prediction.row())
            excluded += prediction.excluded is not None
    return excluded


def _decoded(network: Predictor, path: Path) -> DecodedVideo | Excluded:
    try:
        return decode_video(path, network.frames)
    except UnreadableVideo as problem:
        return Excluded(problem.reason, problem.detail)


def _scores(network: Predictor, videos: list[DecodedVideo]) -> torch.Tensor:
    """Probabilities (B, K)."""
    if not videos:
        return torch.zeros(0, len(network.classes))
    score_BK = network.logits_of(DecodedVideos(videos, network.frames.per_video)).softmax(1)
    if not score_BK.isfinite().all():
        raise UserError(
            "scores of a video are NaN or infinite: the weights of the exported network are at fault"
        )
    return score_BK


def _prediction(network: Predictor, path: Path, video: DecodedVideo, score_K: torch.Tensor) -> Prediction:
    probability, label = score_K.max(0)
    frames = tuple(np.unique(video.index[network.positions]).tolist())
    return Prediction(path, network.classes[int(label)], float(probability), frames)
