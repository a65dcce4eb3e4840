"""The videos left out at any stage, in one list, and the last check before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vidkd.data.frames import FrameStore
from vidkd.data.manifest import check_share, check_splits
from vidkd.data.tables import EXCLUDED_COLUMNS, OK, read_classes, read_rows, rows_text
from vidkd.files import write_text


def join_excluded(
    manifest_csv: Path,
    probed_csv: Path,
    classes_json: Path,
    stores: Sequence[Path],
    output_csv: Path,
    max_excluded: float,
) -> int:
    """Write the videos that the probe or the extraction left out, and check what remains.

    A decoder finds damage that a probe cannot see, so the checks of the manifest are made again here.

    Args:
        manifest_csv: every video.
        probed_csv: the videos that the probe excluded; the probed shards lie beside it.
        classes_json: class names, each of which needs a training video.
        stores: all frame stores of all splits.
        output_csv: `video_id, path, reason` of every excluded video.
        max_excluded: largest share of videos, 0 to 1, that may be excluded.

    Returns:
        How many videos are excluded.

    Raises:
        UserError: too many are excluded, or a split or a class has no video left.
    """
    rows = {row["video_id"]: row for row in read_rows(manifest_csv)}
    late = {store: FrameStore([store]).excluded for store in stores}
    reasons = {
        video_id: f"{reason}: {detail}" for found in late.values() for video_id, reason, detail in found
    }
    excluded = read_rows(probed_csv)
    excluded += [
        {"video_id": video_id, "path": rows[video_id]["path"], "reason": reason}
        for video_id, reason in reasons.items()
    ]
    # A mended video may have another number of frames, so it is probed again too.
    shards = sorted({rows[video["video_id"]]["shard"] for video in excluded}, key=int)
    stale = [probed_csv.with_name(f"shard_{shard}.csv") for shard in shards]
    stale += [store for store, found in late.items() if found]
    check_share(excluded, len(rows), max_excluded, stale)
    usable = [row for row in rows.values() if row["status"] == OK and row["video_id"] not in reasons]
    check_splits(usable, read_classes(classes_json), stale)
    write_text(output_csv, rows_text(excluded, EXCLUDED_COLUMNS))
    return len(excluded)
