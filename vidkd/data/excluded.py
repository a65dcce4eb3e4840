"""The videos left out at any stage, in one list, and the last check before anything is trained."""

from __future__ import annotations

from pathlib import Path

from vidkd.config.data import SPLITS, DataSettings
from vidkd.data.frames import FrameStore
from vidkd.data.manifest import Census
from vidkd.data.tables import EXCLUDED, EXCLUDED_COLUMNS, iter_rows, read_classes, shard_files, table_writer
from vidkd.errors import UserError


def join_excluded(
    manifest_csv: Path,
    probes: Path,
    frames: Path,
    classes_json: Path,
    output_csv: Path,
    settings: DataSettings,
) -> Census:
    """Write the videos that the probe or the extraction left out, and check what remains.

    A decoder finds damage that a probe cannot see, so the checks of the manifest are made again here. Memory
    depends on the number of videos that failed in extraction, shards and classes only.

    Args:
        manifest_csv: every video.
        probes: folder of the probe files, to say which to delete when videos are mended.
        frames: folder of the frame stores, `{split}/shard_{k}.h5`.
        classes_json: class names, each of which needs a training video.
        output_csv: `video_id, path, reason, detail` of every excluded video, sorted by id; not written when
            the data set is refused.
        settings: for the number of shards, and the shares of videos that may be missing or excluded.

    Returns:
        What is usable and what is not.

    Raises:
        UserError: a store has a video that the manifest has not, or see Census.check.
    """
    late: dict[str, tuple[str, str]] = {}
    stale: list[Path] = []
    for store in frame_stores(frames, settings.n_shards):
        found = FrameStore([store]).excluded
        late |= {video_id: (reason, detail) for video_id, reason, detail in found}
        stale += [store] if found else []
    census = Census()
    with table_writer(output_csv, EXCLUDED_COLUMNS) as table:
        for row in iter_rows(manifest_csv):
            if row["video_id"] in late:
                reason, detail = late.pop(row["video_id"])
                row |= {"status": EXCLUDED, "reason": reason, "detail": detail}
            census.add(row)
            if row["status"] == EXCLUDED:
                table.writerow(row)
        if late:
            raise UserError(
                f"{manifest_csv} lacks {next(iter(late))!r}, which {frames} has: run the steps again"
            )
        # A mended video may have another number of frames, so it is probed again too.
        probed = shard_files(probes, settings.n_shards)
        stale = [*(probed[number] for number in sorted(census.shards)), *stale]
        census.check(settings, read_classes(classes_json), stale)
    return census


def frame_stores(frames: Path, n_shards: int) -> list[Path]:
    """List the frame stores of all splits and shards."""
    return [store for split in SPLITS for store in shard_files(frames / split, n_shards, ".h5")]
