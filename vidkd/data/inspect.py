"""What a video is and what would be taken of it, for people whose data misbehave."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from vidkd.config.data import FrameSettings
from vidkd.data.extract import sampled_frames
from vidkd.video.bitstream import NotPlannable
from vidkd.video.containers import open_container
from vidkd.video.decode import planned_segments, probe_video
from vidkd.video.media import videos_below
from vidkd.video.video import Image, UnreadableVideo, VideoInfo

_COLUMNS = 8


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
    images: list[Image] = field(default_factory=list)
    problem: UnreadableVideo | None = None

    @property
    def name(self) -> str:
        """Its path on one line, with what cannot be shown as an escape."""
        return str(self.path) if str(self.path).isprintable() else repr(str(self.path))


def videos_at(place: Path) -> list[Path]:
    """The videos at any depth of a folder, sorted; `place` itself where it is a file or has none below it.

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
    """Aligned lines: the path, what the probe finds, what is sampled, and whether the video is usable."""
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
