"""What every adapter returns, and the checks that hold for all data sets."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache, partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from vidkd.config.data import DataSettings
from vidkd.data.adapters.table import Video, VideoTable
from vidkd.errors import UserError, some
from vidkd.video.media import check_name, natural, without_suffix

Listed = tuple[VideoTable, list[str]]
"""What an adapter returns: all videos, and the class names in the order of their label ids."""


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
        self.videos = VideoTable()
        self._leaves = lru_cache(100_000)(partial(_leaves_by_links, self.root))

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
        label = label.strip()
        if not path or not (label or (self.unlabelled and split == "train")):
            raise UserError(f"{place}: {path or 'a line'} has no {'label' if path else 'path'}")
        relative = self._inside(path, place)
        video_id = video_id or without_suffix(relative)
        labelled = labelled and bool(label)
        video = Video(video_id, relative, label, split, group, labels, labelled)
        if not self.videos.add(video, place):
            raise UserError(self._taken(video_id, relative, place))

    def check_val(self, place: str) -> None:
        """Refuse a validation split without videos: one would be cut from train, and nobody would see it.

        Args:
            place: the file or folder of the split.

        Raises:
            UserError: no validation video was added.
        """
        if "val" not in self.videos.splits():
            raise UserError(
                f"{place} has no video: fill it, or remove it to have a validation split cut from train"
            )

    def finish(self, settings: DataSettings, classes: list[str] | None = None) -> Listed:
        """Check the whole, cut a validation split when there is none.

        Args:
            settings: for `val_fraction` and `split_seed`.
            classes: the official class list, whose order is that of the label ids; default: the labels of
                the training videos, 2 before 10.

        Raises:
            UserError: a split without videos, classes that look alike, an unknown label, a class
                without training videos, or a group in two splits.
        """
        counts = self.videos.splits()
        for split in ("train", "test"):
            if split not in counts:
                raise UserError(
                    f"no {split} videos are listed under {self.root}: check data.root and data.annotations; "
                    f"config/README.md shows what data.adapter {settings.adapter} expects"
                )
        trained = self.videos.labels("train")
        known = sorted(trained, key=natural) if classes is None else list(dict.fromkeys(classes))
        _check_alike(known)
        self._check_labels(set(known), trained)
        self._check_groups()
        if "val" not in counts:
            cut_split(self.videos, "val", settings.val_fraction, settings.split_seed)
        return self.videos, known

    def _inside(self, path: str, place: str) -> str:
        """The path relative to the root; the links of each folder are followed once only, for speed."""
        absolute = os.path.normpath(path if path.startswith("/") else self._inner + path)
        if not absolute.startswith(self._inner):
            raise UserError(f"{place}: {path} is not inside {self.root}: videos must lie under data.root")
        link = os.path.islink(absolute)  # noqa: PTH114 - never raises
        if self._leaves(absolute.rpartition("/")[0]) or (link and _leaves_by_links(self.root, absolute)):
            raise UserError(
                f"{place}: {path} is a link that leaves {self.root}: copy the video or move data.root"
            )
        return absolute.removeprefix(self._inner)

    def _taken(self, video_id: str, path: str, place: str) -> str:
        other, other_place = self.videos.first("video_id = ?", video_id)
        if other.path == path:
            return f"{place}: {path} was already listed at {other_place}: remove one"
        suffix = ", the path without its suffix" if without_suffix(path) == video_id else ""
        return (
            f"{place}: {path} and {other.path} at {other_place} have the same id {video_id!r}{suffix}: "
            "rename or remove one"
        )

    def _check_labels(self, known: set[str], trained: set[str]) -> None:
        query = "SELECT label, labels FROM video GROUP BY label, labels ORDER BY min(number)"
        for label, labels in self.videos.rows(query):
            names = Video("", "", label, "", labels=labels).names
            if unknown := [name for name in names if name not in known]:
                _, place = self.videos.first("label = ? AND labels = ?", label, labels)
                raise UserError(
                    f"{place}: label {unknown[0]!r} is not one of the classes, which are "
                    f"{some(sorted(known))}. Correct it, or list training videos of it."
                )
        if missing := sorted(known - trained):
            raise UserError(f"no training video has the label {some(missing)}: check the train split file")

    def _check_groups(self) -> None:
        query = """SELECT "group" FROM video WHERE "group" <> '' GROUP BY "group"
            HAVING min(split) <> max(split) ORDER BY min(number) LIMIT 1"""
        if found := next(self.videos.rows(query), None):
            (group,) = found
            first, first_place = self.videos.first('"group" = ?', group)
            other, other_place = self.videos.first('"group" = ? AND split <> ?', group, first.split)
            raise UserError(
                f"{other_place}: group {group!r} is in {other.split} here and in "
                f"{first.split} at {first_place}: keep a group in one split"
            )


def _leaves_by_links(root: str, absolute: str) -> bool:
    return not Path(os.path.realpath(absolute)).is_relative_to(os.path.realpath(root))


def _check_alike(names: Sequence[str]) -> None:
    first: dict[str, str] = {}
    for name in names:
        other = first.setdefault(_look(name), name)
        if other != name:
            case = other.casefold() == name.casefold()
            how = "case only" if case else f"ways of writing only ({other!a}, {name!a})"
            raise UserError(f"the classes {other!r} and {name!r} differ in {how}: give their videos one name")


def _look(name: str) -> str:
    """What one sees of a name: not how accents are composed, nor characters without a shape, nor case."""
    composed = unicodedata.normalize("NFKC", name)
    return "".join(sign for sign in composed if unicodedata.category(sign) != "Cf").casefold().strip()


# With a word before it, for a group may be called like a video.
_GROUP = """CASE "group" WHEN '' THEN 'video ' || video_id ELSE 'group ' || "group" END"""
_UNLABELLED = f"SELECT {_GROUP} FROM video WHERE split = 'train' AND label = ''"


def cut_split(videos: VideoTable, split: str, fraction: float, seed: int) -> None:
    """Move whole groups of the training split to `split`, until about `fraction` of each class is there.

    A class of two groups or more has a video in both, unless its groups hold videos of other classes. Groups
    are visited in the order of a hash of their own, so that a video more moves the groups at the edge of the
    cut only, and the order in which videos were added none. Unlabelled videos stay, and so does what shares a
    group with one.

    Args:
        videos: of all splits.
        split: val or test.
        fraction: share of the training videos, 0 to 1.
        seed: another one cuts elsewhere.

    Raises:
        UserError: no group can be moved.
    """
    movable = f"FROM video WHERE split = 'train' AND {_GROUP} NOT IN ({_UNLABELLED})"
    total = Counter(dict(videos.rows(f"SELECT label, count(*) {movable} GROUP BY label")))
    wanted = {label: max(1, round(fraction * count)) for label, count in total.items()}
    taken: Counter[str] = Counter()
    videos.change("CREATE TABLE moved (name PRIMARY KEY) WITHOUT ROWID")
    counts = videos.rows(
        f"""SELECT {_GROUP} AS name, label, count(*) {movable}
            GROUP BY name, label ORDER BY sha256(? || ' ' || name), name""",
        str(seed),
    )
    for name, rows in groupby(counts, itemgetter(0)):
        own = Counter({label: count for _, label, count in rows})
        fits = all(taken[label] + count <= wanted[label] or not taken[label] for label, count in own.items())
        if fits and all(taken[label] + count < total[label] for label, count in own.items()):
            taken += own
            videos.change("INSERT INTO moved VALUES (?)", name)
    if not taken:
        raise UserError(
            f"no {split} split can be cut from the {len(videos)} videos, because each class would lose its "
            f"last group in train: list more videos, smaller groups, or a {split} split"
        )
    videos.change(
        f"UPDATE video SET split = ? WHERE split = 'train' AND {_GROUP} IN (SELECT name FROM moved)", split
    )
    videos.change("DROP TABLE moved")
