"""What every adapter returns, and the checks that hold for all data sets."""

from __future__ import annotations

import hashlib
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from vidkd.config.data import DataSettings
from vidkd.data.media import check_name, without_suffix
from vidkd.errors import UserError


@dataclass(frozen=True, slots=True)
class Video:
    """One video.

    Attributes:
        video_id: unique and stable: the path without its suffix, or the data set's own id.
        path: relative to the root, with forward slashes: a file, a folder of images, or what comes before
            `_frame_00.jpg` in the names of its images.
        label: class name; empty: none, of training videos only.
        split: train, val or test.
        group: videos that must stay on one side of a split (same scene or source); empty: a group of its own.
        labels: all class names of the video with `;` between, for methods that learn several; default: one.
        labelled: whether a method that does with few labels may use this one.
    """

    video_id: str
    path: str
    label: str
    split: str
    group: str = ""
    labels: str = ""
    labelled: bool = True

    def __post_init__(self) -> None:
        if not self.labels:
            object.__setattr__(self, "labels", self.label)

    @property
    def names(self) -> list[str]:
        """All class names of the video, of which a single one may have a `;` in it; none without a label."""
        if self.labels == self.label:
            return [self.label] if self.label else []
        return self.labels.split(";")


LISTED = tuple(field.name for field in fields(Video) if field.name != "labelled")
"""What the listing says of each video; which labels few-label methods may use is nobody else's business."""


class Listing:
    """Collects the videos of a data set; every mistake is reported with the place it was read from."""

    def __init__(self, root: str | Path, unlabelled: bool = False) -> None:
        """Begin with nothing.

        Args:
            root: folder of the videos.
            unlabelled: training videos may be without a label.
        """
        self.unlabelled = unlabelled
        self.root = os.path.normpath(Path.cwd() / root)
        self._inner = self.root.rstrip("/") + "/"
        self.videos: list[Video] = []
        self._places: list[str] = []
        self._position: dict[str, int] = {}
        self._checked_folders: set[str] = set()

    def add(
        self,
        path: str,
        label: str,
        split: str,
        place: str,
        group: str = "",
        video_id: str | None = None,
        labels: str = "",
        labelled: bool = True,
    ) -> None:
        """Add one video.

        Args:
            path: of the video, relative to the root or absolute inside it.
            label: class name.
            split: train, val or test.
            place: `file:line` for messages.
            group: see Video.
            video_id: the data set's own id; default: the path without the suffix of a video file.
            labels: see Video.
            labelled: see Video.

        Raises:
            UserError: the path leaves the root, a name is not UTF-8 or has a control character, the label is
                empty, or the id is taken.
        """
        for name in (path, label, group):
            check_name(name, place)
        # Of a million videos a few hundred have another label: one copy of each in memory.
        label, group = sys.intern(label.strip()), sys.intern(group)
        if not path or not (label or (self.unlabelled and split == "train")):
            raise UserError(f"{place}: {path or 'a line'} has no {'label' if path else 'path'}")
        relative = self._inside(path, place)
        video_id = video_id or without_suffix(relative)
        if video_id in self._position:
            raise UserError(self._taken(video_id, relative, place))
        self._position[video_id] = len(self.videos)
        self._places.append(place)
        labelled = labelled and bool(label)
        self.videos.append(Video(video_id, relative, label, split, group, labels, labelled))

    def check_val(self, place: str) -> None:
        """Refuse a validation split without videos: one would be cut from train, and nobody would see it.

        Args:
            place: the file or folder of the split.

        Raises:
            UserError: no validation video was added.
        """
        if not any(video.split == "val" for video in self.videos):
            raise UserError(
                f"{place} has no video: fill it, or remove it to have a validation split cut from train"
            )

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
            UserError: a split without videos, classes that differ in case only, an unknown label, a class
                without training videos, or a group in two splits.
        """
        for split in ("train", "test"):
            if not any(video.split == split for video in self.videos):
                raise UserError(
                    f"no {split} videos are listed under {self.root}: check data.root and data.annotations; "
                    f"config/README.md shows what data.adapter {settings.adapter} expects"
                )
        trained = {video.label for video in self.videos if video.split == "train" and video.label}
        known = sorted(trained if classes is None else classes)
        _check_case(known)
        self._check_labels(set(known), trained)
        self._check_groups()
        videos = self.videos
        if not any(video.split == "val" for video in videos):
            videos = cut_split(videos, "val", settings.val_fraction, settings.split_seed)
        return sorted(videos, key=lambda video: video.video_id), known

    def _inside(self, path: str, place: str) -> str:
        """The path relative to the root; the links of each folder are followed once only, for speed."""
        absolute = os.path.normpath(path if path.startswith("/") else self._inner + path)
        if not absolute.startswith(self._inner):
            raise UserError(f"{place}: {path} is not inside {self.root}: videos must lie under data.root")
        folder = absolute.rpartition("/")[0]
        if folder not in self._checked_folders or os.path.islink(absolute):  # noqa: PTH114 - never raises
            if not Path(os.path.realpath(absolute)).is_relative_to(os.path.realpath(self.root)):
                raise UserError(
                    f"{place}: {path} is a link that leaves {self.root}: copy the video or move data.root"
                )
            self._checked_folders.add(folder)
        return absolute.removeprefix(self._inner)

    def _taken(self, video_id: str, path: str, place: str) -> str:
        position = self._position[video_id]
        other, other_place = self.videos[position].path, self._places[position]
        if other == path:
            return f"{place}: {path} was already listed at {other_place}: remove one"
        suffix = ", the path without its suffix" if without_suffix(path) == video_id else ""
        return (
            f"{place}: {path} and {other} at {other_place} have the same id {video_id!r}{suffix}: "
            "rename or remove one"
        )

    def _check_labels(self, known: set[str], trained: set[str]) -> None:
        for video, place in zip(self.videos, self._places, strict=True):
            if unknown := [name for name in video.names if name not in known]:
                raise UserError(
                    f"{place}: label {unknown[0]!r} is not one of the classes, which are "
                    f"{_some(known)}. Correct it, or list training videos of it."
                )
        if missing := known - trained:
            raise UserError(f"no training video has the label {_some(missing)}: check the train split file")

    def _check_groups(self) -> None:
        first: dict[str, int] = {}
        for position, video in enumerate(self.videos):
            other = first.setdefault(video.group, position) if video.group else position
            if self.videos[other].split != video.split:
                raise UserError(
                    f"{self._places[position]}: group {video.group!r} is in {video.split} here and in "
                    f"{self.videos[other].split} at {self._places[other]}: keep a group in one split"
                )


def _check_case(names: Sequence[str]) -> None:
    first: dict[str, str] = {}
    for name in names:
        other = first.setdefault(name.casefold(), name)
        if other != name:
            raise UserError(
                f"the classes {other!r} and {name!r} differ in case only: give their videos one name"
            )


def _some(names: set[str]) -> str:
    """The first few of many names."""
    return ", ".join(sorted(names)[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def cut_split(videos: Sequence[Video], split: str, fraction: float, seed: int) -> list[Video]:
    """Move whole groups of the training split to `split`, until about `fraction` of each class is there.

    A class of two groups or more has a video in both, unless its groups hold videos of other classes. Groups
    are visited in the order of a hash of their own, so that a video more moves the groups at the edge of the
    cut only, and the order of `videos` none.

    Args:
        videos: of all splits.
        split: val or test.
        fraction: share of the training videos, 0 to 1.
        seed: another one cuts elsewhere.

    Returns:
        All videos in their order.

    Raises:
        UserError: no group can be moved.
    """
    groups: dict[str, list[Video]] = defaultdict(list)
    for video in videos:
        if video.split == "train":
            groups[f"group {video.group}" if video.group else f"video {video.video_id}"].append(video)
    # Unlabelled videos stay, and so does what shares a group with one.
    groups = {name: members for name, members in groups.items() if all(video.label for video in members)}
    total = Counter(video.label for members in groups.values() for video in members)
    wanted = {label: max(1, round(fraction * count)) for label, count in total.items()}
    taken: Counter[str] = Counter()
    moved: set[str] = set()
    for name in sorted(groups, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest()):
        own = Counter(video.label for video in groups[name])
        fits = all(taken[label] + count <= wanted[label] or not taken[label] for label, count in own.items())
        if fits and all(taken[label] + count < total[label] for label, count in own.items()):
            taken += own
            moved.update(video.video_id for video in groups[name])
    if not moved:
        raise UserError(
            f"no {split} split can be cut from the {len(videos)} videos, because each class would lose its "
            f"last group in train: list more videos, smaller groups, or a {split} split"
        )
    return [replace(video, split=split) if video.video_id in moved else video for video in videos]
