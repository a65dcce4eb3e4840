"""What every adapter returns, and the checks that hold for all data sets."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

from vidkd.config.data import DataSettings
from vidkd.errors import UserError


@dataclass(frozen=True)
class Video:
    """One labelled video.

    Attributes:
        video_id: unique and stable: the path without its suffix, or the data set's own id.
        path: relative to the root, with forward slashes.
        label: class name.
        split: train, val or test.
        group: videos that must stay on one side of a split (same scene or source); empty: a group of its own.
    """

    video_id: str
    path: str
    label: str
    split: str
    group: str = ""


class Listing:
    """Collects the videos of a data set; every mistake is reported with the place it was read from."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path.cwd() / root
        self.videos: list[Video] = []
        self._place: dict[str, str] = {}

    def add(
        self, path: str, label: str, split: str, place: str, group: str = "", video_id: str | None = None
    ) -> None:
        """Add one video.

        Args:
            path: of the video, relative to the root or absolute inside it.
            label: class name.
            split: train, val or test.
            place: `file:line` for messages.
            group: see Video.
            video_id: the data set's own id; default: the path without its suffix.

        Raises:
            UserError: the path leaves the root or is not UTF-8, the label is empty, or the id is taken.
        """
        try:
            f"{path} {label}".encode()
        except UnicodeEncodeError:
            where = place.encode(errors="backslashreplace").decode()
            raise UserError(
                f"{where}: the name {path!r} is not UTF-8: rename the file or its folder"
            ) from None
        if not label.strip():
            raise UserError(f"{place}: {path} has no label")
        relative = self._inside(path, place)
        video_id = video_id or str(Path(relative).with_suffix(""))
        if video_id in self._place:
            raise UserError(
                f"{place}: video {video_id!r} was already listed at {self._place[video_id]}: remove one"
            )
        self._place[video_id] = place
        self.videos.append(Video(video_id, relative, label.strip(), split, group))

    def finish(
        self, settings: DataSettings, classes: list[str] | None = None
    ) -> tuple[list[Video], list[str]]:
        """Check the whole, cut a validation split when there is none.

        Args:
            settings: for `val_fraction` and `split_seed`.
            classes: the official class list; default: the labels of the training videos.

        Returns:
            Videos sorted by id, and sorted class names.

        Raises:
            UserError: a split without videos, an unknown label, a class without training videos, or a
                group in two splits.
        """
        for split in ("train", "test"):
            if not any(video.split == split for video in self.videos):
                raise UserError(f"no {split} videos are listed under {self.root}: check data.annotations")
        trained = {video.label for video in self.videos if video.split == "train"}
        known = sorted(trained if classes is None else classes)
        self._check_labels(set(known), trained)
        self._check_groups()
        videos = self.videos
        if not any(video.split == "val" for video in videos):
            videos = cut_validation(videos, settings.val_fraction, settings.split_seed)
        return sorted(videos, key=lambda video: video.video_id), known

    def _inside(self, path: str, place: str) -> str:
        absolute = Path(os.path.normpath(self.root / path))
        if not absolute.is_relative_to(self.root) or absolute == self.root:
            raise UserError(f"{place}: {path} is not inside {self.root}: videos must lie under data.root")
        if not Path(os.path.realpath(absolute)).is_relative_to(os.path.realpath(self.root)):
            raise UserError(
                f"{place}: {path} is a link that leaves {self.root}: copy the video or move data.root"
            )
        return absolute.relative_to(self.root).as_posix()

    def _check_labels(self, known: set[str], trained: set[str]) -> None:
        for video in self.videos:
            if video.label not in known:
                raise UserError(
                    f"{self._place[video.video_id]}: label {video.label!r} is not one of the classes"
                )
        if missing := sorted(known - trained):
            raise UserError(
                f"no training video has the label {', '.join(missing[:5])}: check the train split file"
            )

    def _check_groups(self) -> None:
        seen: dict[str, Video] = {}
        for video in self.videos:
            other = seen.setdefault(video.group, video) if video.group else video
            if other.split != video.split:
                raise UserError(
                    f"{self._place[video.video_id]}: group {video.group!r} is in {video.split} here and in "
                    f"{other.split} at {self._place[other.video_id]}: keep a group in one split"
                )


def cut_validation(videos: list[Video], fraction: float, seed: int) -> list[Video]:
    """Move whole groups of the training split to `val`, until about `fraction` of its videos are there.

    A class keeps at least one training video. Groups are visited in the order of a hash of their own, so that
    a video more moves the groups at the edge of the cut only, and the order of `videos` none.
    """
    groups: dict[str, list[Video]] = defaultdict(list)
    for video in videos:
        if video.split == "train":
            groups[f"group {video.group}" if video.group else f"video {video.video_id}"].append(video)
    left = Counter(video.label for members in groups.values() for video in members)
    wanted = max(1, round(fraction * left.total()))
    moved: set[str] = set()
    for name in sorted(groups, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest()):
        members = groups[name]
        labels = Counter(video.label for video in members)
        fits = len(moved) + len(members) <= wanted or not moved
        if fits and all(left[label] > count for label, count in labels.items()):
            left -= labels
            moved.update(video.video_id for video in members)
    return [replace(video, split="val") if video.video_id in moved else video for video in videos]


def read_lines(file: Path) -> list[tuple[str, str]]:
    """The non-blank lines of an annotation file, each with its `file:line`.

    Raises:
        UserError: the file is missing or not UTF-8 text.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(
            f"annotation file {file} is missing: check data.annotations and data.adapter"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"annotation file {file} cannot be read as text: {error}") from error
    return [
        (line.rstrip(), f"{file}:{number}") for number, line in enumerate(text.split("\n"), 1) if line.strip()
    ]
