"""The manifest: all shards in one table, and the decision whether the data set is fit to be used."""

from __future__ import annotations

import logging
import shlex
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from vidkd.config.data import SPLITS, DataSettings
from vidkd.data.probe import COLUMNS
from vidkd.data.tables import MISSING, OK, Row, by_reason, merged, read_classes, shard_files, table_writer
from vidkd.errors import UserError

log = logging.getLogger(__name__)

_EXAMPLES = 5
_NAMED = 20


def build_manifest(probes: Path, classes_json: Path, manifest_csv: Path, settings: DataSettings) -> Census:
    """Join the probed shards, sorted by video id.

    Memory depends on the number of shards and classes only; nothing is written when the data set is refused.

    Args:
        probes: folder of the probe files, of which those of `settings.n_shards` shards are read.
        classes_json: class names, each of which needs a training video.
        manifest_csv: every video, usable or not.
        settings: for the shares of videos that may be missing or excluded.

    Returns:
        What is usable and what is not.

    Raises:
        UserError: the same video twice, a probe file that is missing, or see Census.check.
    """
    files = shard_files(probes, settings.n_shards)
    census = Census()
    with merged(files, COLUMNS) as rows, table_writer(manifest_csv, COLUMNS) as table:
        for row in rows:
            census.add(row)
            table.writerow(row)
        stale = [files[number] for number in sorted(census.shards)]
        census.check(settings, read_classes(classes_json), stale)
    return census


class Census:
    """Counts the videos of a data set; its memory grows with classes and shards, not with videos.

    Attributes:
        usable: how many videos can be used.
        reasons: how many cannot, by the one word of their reason.
        shards: numbers of the shards that have one of these.
    """

    def __init__(self) -> None:
        self.usable = 0
        self.reasons: Counter[str] = Counter()
        self.shards: set[int] = set()
        self._examples: dict[str, list[str]] = defaultdict(list)
        self._splits: set[str] = set()
        self._trained: set[str] = set()

    def add(self, row: Row) -> None:
        """Count a row of the manifest; an excluded one is logged."""
        if row["status"] == OK:
            self.usable += 1
            self._splits.add(row["split"])
            if row["split"] == "train":
                self._trained.add(row["label"])
            return
        reason, line = row["reason"], f"{row['path']}: {row['reason']}: {row['detail']}"
        log.warning("excluded %s", line)
        self.reasons[reason] += 1
        self.shards.add(int(row["shard"]))
        if len(self._examples[reason]) < _EXAMPLES:
            self._examples[reason].append(line)

    @property
    def excluded(self) -> int:
        """How many videos cannot be used."""
        return self.reasons.total()

    def summary(self) -> str:
        """Sum up in a line: `995 videos usable, 5 excluded (3 missing, 2 truncated)`."""
        counts = f" ({by_reason(self.reasons)})" if self.reasons else ""
        return f"{self.usable} videos usable, {self.excluded} excluded{counts}"

    def check(self, settings: DataSettings, classes: Sequence[str], stale: Sequence[Path]) -> None:
        """Refuse a data set that loses too much.

        Args:
            settings: for the shares that may be missing or excluded.
            classes: names of all classes, each of which needs a training video.
            stale: files to delete once videos are mended.

        Raises:
            UserError: there are no videos, too many are missing or otherwise excluded, or a split or a class
                has no usable one.
        """
        total = self.usable + self.excluded
        if total == 0:
            raise UserError("the data set has no videos: check data.root, data.annotations and data.adapter")
        again = _look_again(stale)
        missing = Counter({MISSING: self.reasons[MISSING]})
        broken = self.reasons - missing
        unusable = f"cannot be used ({by_reason(broken)})"
        found: list[str] = []
        for reasons, what, option, largest, advice in (
            (missing, "are missing", "data.max_missing", settings.max_missing, "Put them under data.root"),
            (broken, unusable, "data.max_excluded", settings.max_excluded, "Mend them"),
        ):
            if reasons.total() > largest * total:
                found.append(
                    f"{reasons.total()} of {total} videos {what}, above {option} = {largest:g}:\n"
                    f"{self._first(reasons)}\n"
                    f"All are in the log of this step. {advice}, or raise {option}."
                )
        if found:
            raise UserError("\n".join(found) + again)
        for split in SPLITS:
            if split not in self._splits:
                raise UserError(
                    f"the {split} split has no usable video: check data.annotations and data.root.{again}"
                )
        if lost := [name for name in classes if name not in self._trained]:
            raise UserError(
                f"{len(lost)} classes have no usable training video, such as {', '.join(lost[:5])}: "
                f"mend their videos or leave the classes out.{again}"
            )

    def _first(self, reasons: Counter[str]) -> str:
        """The first videos with one of `reasons`, those of the most frequent one first."""
        lines = [line for reason, _ in reasons.most_common() for line in self._examples[reason]]
        return "\n".join(f"  {line}" for line in lines[:_EXAMPLES])


def _look_again(stale: Sequence[Path]) -> str:
    """Snakemake does not watch the videos: a mended one is read when what was made of it is gone."""
    if not stale:
        return ""
    names = [shlex.quote(str(file)) for file in stale]
    if len(stale) > _NAMED:
        folders = sorted({(file.parent, file.suffix) for file in stale})
        names = [f"{shlex.quote(str(folder))}/shard_*{suffix}" for folder, suffix in folders]
    return f" Mended videos are looked at again after: rm {' '.join(names)}"
