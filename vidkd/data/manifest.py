"""The manifest: all shards in one table, and the decision whether the data set is fit to be used."""

from __future__ import annotations

from pathlib import Path

from vidkd.config.data import DataSettings
from vidkd.data.census import Census
from vidkd.data.probe import COLUMNS
from vidkd.data.tables import merged, read_classes, shard_files, table_writer


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
