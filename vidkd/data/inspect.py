"""Shows what a video is and what would be taken of it, in words and on a contact sheet."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from vidkd.config.data import FrameSettings
from vidkd.data.extract import sampled_frames
from vidkd.files import atomic
from vidkd.video.bitstream import NotPlannable
from vidkd.video.containers import open_container
from vidkd.video.decode import planned_segments, probe_video
from vidkd.video.media import videos_below
from vidkd.video.video import Image as Pixels
from vidkd.video.video import UnreadableVideo, VideoInfo

_COLUMNS = 8
"""Of numbers of frames in a line of words."""

SIDE = 128
"""Longest side of a frame on the sheet, in pixels."""

_GAP, _TEXT, _LINE, _LABEL, _LETTERS = 8, 11, 15, 230, 32
_INK, _PAPER, _ALARM = "black", "white", "#b00020"
_FONT = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")  # Pillow's own has ASCII only


@dataclass(frozen=True)
class Inspection:
    """One video, looked at as the probe and the extraction do.

    Attributes:
        path: of the video.
        container: FFmpeg's name of it; empty where it is none, or cannot be opened.
        info: what the probe finds; None when the probe excludes the video.
        decoding: how the frames are reached.
        index: (T) numbers of the frames that are kept.
        seconds: (T) their time stamps, NaN where unknown.
        images: (T) these frames, upright and shrunk.
        problem: why the video is excluded; None when it is usable.
    """

    path: Path
    container: str
    info: VideoInfo | None = None
    decoding: str = ""
    index: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    images: list[Pixels] = field(default_factory=list)
    problem: UnreadableVideo | None = None

    @property
    def name(self) -> str:
        """Its path on one line, with what cannot be shown as an escape."""
        return str(self.path) if str(self.path).isprintable() else repr(str(self.path))


def videos_at(place: Path) -> list[Path]:
    """List the videos at any depth of `place`, sorted; `place` itself where it is a file or has none.

    Raises:
        UserError: a folder below it cannot be listed.
    """
    found = sorted(videos_below(place)) if place.is_dir() else []
    return [place / name for name in found] or [place]


def inspect_video(path: Path, settings: FrameSettings) -> Inspection:
    """Probe a video and take the frames that `settings` keep of it; a bad one is described, never raised."""
    container, info = _container(path), None
    try:
        info = probe_video(path)
        index, images, seconds = sampled_frames(path, info.frames, settings)
    except UnreadableVideo as problem:
        return Inspection(path, container, info, problem=problem)
    numbers = index.tolist()
    return Inspection(path, container, info, _decoding(path, numbers), numbers, seconds.tolist(), images)


def _container(path: Path) -> str:
    try:
        with open_container(path) as container:
            return container.format.name
    except UnreadableVideo:
        return ""


def _decoding(path: Path, index: list[int]) -> str:
    if not path.is_file():
        return "images, only those that are wanted"
    try:
        segments = planned_segments(path, index)
    except NotPlannable as why:
        return f"in sequence, from the first frame to the last wanted one: {why}"
    packets = sum(segment.stop - segment.start for segment in segments)
    return f"planned: {packets} packets, entered at {len(segments)} keyframe(s)"


def describe(found: Inspection) -> str:
    """Describe in aligned lines: the path, what the probe finds, what is sampled, whether it is usable."""
    lines = [("container", found.container)] if found.container else []
    lines += [(name, _plain(value)) for name, value in asdict(found.info).items()] if found.info else []
    lines += [("decoding", found.decoding)] if found.decoding else []
    lines += list(_sampled(found))
    lines.append(("EXCLUDED", str(found.problem)) if found.problem else ("usable", "yes"))
    return "\n".join([found.name, *(f"  {name:<14}{text}" for name, text in lines)])


def _sampled(found: Inspection) -> Iterator[tuple[str, str]]:
    for start in range(0, len(found.index), _COLUMNS):
        chosen = slice(start, start + _COLUMNS)
        yield "frame", "".join(f"{number:>9}" for number in found.index[chosen])
        yield "second", "".join(f"{time:>9.3f}" for time in found.seconds[chosen])


def _plain(value: object) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


# ---- contact sheet: a row of sampled frames for each video, or why there are none


def write_sheet(videos: Sequence[Inspection], file: Path) -> None:
    """Draw `videos`, one a row, as a PNG.

    The path of each video is at the left, its sampled frames beside it, labelled with number and second. A
    video that cannot be used has its reason in the place of the frames.

    Args:
        videos: what was found.
        file: the image to write.

    Raises:
        UserError: the folder cannot be written, or the disk is full.
    """
    rows = [_row(video) for video in videos]
    width = max((row.width for row in rows), default=1)
    sheet = Image.new("RGB", (width, max(1, sum(row.height for row in rows))), _PAPER)
    top = 0
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height
    with atomic(file) as temporary:
        sheet.save(temporary, "PNG")


def _row(video: Inspection) -> Image.Image:
    name = textwrap.wrap("/".join(video.name.split("/")[-2:]), _LETTERS)[:6]
    reason = textwrap.wrap(f"excluded: {video.problem}", 2 * _LETTERS) if video.problem else []
    thumbnails = [_thumbnail(image) for image in video.images]
    frames_height = max((image.height + _LINE for image in thumbnails), default=0)
    height = max(_LINE * len(name), _LINE * len(reason), frames_height) + 2 * _GAP
    row = Image.new("RGB", (_LABEL + max(3, len(thumbnails)) * (SIDE + _GAP), height), _PAPER)
    draw = ImageDraw.Draw(row)
    font = ImageFont.truetype(_FONT, _TEXT)
    draw.text((_GAP, _GAP), "\n".join(name), _INK, font)
    draw.text((_LABEL, _GAP), "\n".join(reason), _ALARM, font)
    for column, image in enumerate(thumbnails):
        left = _LABEL + column * (SIDE + _GAP)
        row.paste(image, (left, _GAP))
        draw.text((left, _GAP + image.height), _label(video, column), _INK, font)
    return row


def _thumbnail(image: Pixels) -> Image.Image:
    small = Image.fromarray(image)
    small.thumbnail((SIDE, SIDE))
    return small


def _label(video: Inspection, column: int) -> str:
    second = video.seconds[column]
    return str(video.index[column]) + ("" if math.isnan(second) else f"   {second:.2f} s")
