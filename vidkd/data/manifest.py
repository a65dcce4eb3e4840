"""The manifest: all shards in one table, and the decision whether the data set is fit to be used."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from vidkd.config.data import SPLITS
from vidkd.data.probe import COLUMNS
from vidkd.data.tables import EXCLUDED, EXCLUDED_COLUMNS, OK, read_classes, read_rows, rows_text
from vidkd.errors import UserError
from vidkd.files import write_text

log = logging.getLogger(__name__)


def build_manifest(
    probe_csvs: Sequence[Path],
    classes_json: Path,
    manifest_csv: Path,
    excluded_csv: Path,
    max_excluded: float,
) -> tuple[int, int]:
    """Join the probed shards, sorted by video id; the excluded ones are also listed apart.

    Args:
        probe_csvs: the probe file of each shard.
        classes_json: class names, each of which needs a training video.
        manifest_csv: every video, usable or not.
        excluded_csv: video_id, path and reason of the excluded ones.
        max_excluded: largest share of videos, 0 to 1, that may be excluded.

    Returns:
        How many videos are usable, and how many are excluded.

    Raises:
        UserError: no videos, the same video twice, too many excluded, a split without usable videos, or a
            class without a usable training video.
    """
    shards = {file: read_rows(file) for file in probe_csvs}
    rows = sorted((row for shard in shards.values() for row in shard), key=lambda row: row["video_id"])
    if not rows:
        raise UserError("the data set has no videos: check data.root, data.annotations and data.adapter")
    for before, after in pairwise(rows):
        if before["video_id"] == after["video_id"]:
            raise UserError(f"video {after['video_id']!r} is in two probe files: give each shard once")
    usable = [row for row in rows if row["status"] == OK]
    excluded = [row for row in rows if row["status"] == EXCLUDED]
    write_text(excluded_csv, rows_text(excluded, EXCLUDED_COLUMNS))
    stale = [file for file, shard in shards.items() if any(row["status"] == EXCLUDED for row in shard)]
    check_share(excluded, len(rows), max_excluded, stale)
    check_splits(usable, read_classes(classes_json), stale)
    write_text(manifest_csv, rows_text(rows, COLUMNS))
    return len(usable), len(excluded)


def check_share(
    excluded: list[dict[str, str]], total: int, max_excluded: float, stale: Sequence[Path]
) -> None:
    """Log every excluded video, and refuse a data set that loses too many.

    Args:
        excluded: the videos with path and reason.
        total: how many videos there are.
        max_excluded: largest share of them, 0 to 1, that may be excluded.
        stale: files to delete once videos are mended.

    Raises:
        UserError: their share of `total` is above `max_excluded`.
    """
    for row in excluded:
        log.warning("excluded %s: %s", row["path"], row["reason"])
    if len(excluded) <= max_excluded * total:
        return
    first = "\n".join(f"  {row['path']}: {row['reason']}" for row in excluded[:5])
    raise UserError(
        f"{len(excluded)} of {total} videos cannot be used, above data.max_excluded = {max_excluded:g}:\n"
        f"{first}\nAll are in the log of this step. Raise data.max_excluded, or mend them."
        f"{_look_again(stale)}"
    )


def _look_again(stale: Sequence[Path]) -> str:
    """Snakemake does not watch the videos: a mended one is read when what was made of it is gone."""
    return f" Mended videos are looked at again after: rm {shlex.join(map(str, stale))}" if stale else ""


def check_splits(usable: list[dict[str, str]], classes: list[str], stale: Sequence[Path]) -> None:
    """Refuse an empty split and a class that cannot be learnt.

    Args:
        usable: the videos that are left, with split and label.
        classes: names of all classes.
        stale: files to delete once videos are mended.

    Raises:
        UserError: a split has no usable video, or a class no usable training video.
    """
    for split in SPLITS:
        if not any(row["split"] == split for row in usable):
            raise UserError(
                f"the {split} split has no usable video: check data.annotations and data.root."
                f"{_look_again(stale)}"
            )
    trained = {row["label"] for row in usable if row["split"] == "train"}
    if missing := [name for name in classes if name not in trained]:
        raise UserError(
            f"{len(missing)} classes have no usable training video, such as {', '.join(missing[:5])}: "
            f"mend their videos or leave the classes out.{_look_again(stale)}"
        )
