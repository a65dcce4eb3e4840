"""Kinetics-400, 600 and 700: `ID_000010_000020.mp4` anywhere under the root, and the official CSV files.

The name is the YouTube id and the start and end in whole seconds, six digits each. All downloads have it,
whatever their folders: `train/ID_...mp4` (CVDF), `train/CLASS/ID_...mp4` with blanks or underscores in the
class (ActivityNet, torchvision), `videos_train/CLASS/...` (mmaction2). A clip that is there twice is taken
from a folder with `replacement` in its name: CVDF's second copies of files that were damaged.

Annotations: `train.csv` and `val.csv` or `validate.csv`, perhaps with something before these names, with the
columns `label,youtube_id,time_start,time_end` and others. Published figures are on the official validation
split: it is our test split, and our validation split is cut from train. The official test split, without
labels in many copies, is not used. Videos that are not there are listed all the same; `max_missing` says how
many may be absent.
"""

from __future__ import annotations

from pathlib import Path

from vidkd.config.data import DataSettings
from vidkd.data.adapters.base import Listed, Listing
from vidkd.data.adapters.table import NamedVideos
from vidkd.data.adapters.text import read_table
from vidkd.errors import UserError

COLUMNS = ("label", "youtube_id", "time_start", "time_end")


def list_videos(settings: DataSettings, root: Path, annotations: Path) -> Listed:
    """List the clips of the CSV files, those that are not under `root` included.

    Raises:
        UserError: a file is missing, a row is not understood, a clip is there twice, or see Listing.
    """
    listing = Listing(root)
    found = NamedVideos(root)
    for split, names in (("train", ["train"]), ("test", ["val", "validate", "validation"])):
        for row, place in read_table(_file(annotations, names)):
            if not set(COLUMNS) <= row.keys():
                raise UserError(f"{place}: expected the columns {', '.join(COLUMNS)}, found {', '.join(row)}")
            try:
                name = f"{row['youtube_id']}_{int(row['time_start']):06d}_{int(row['time_end']):06d}"
            except ValueError:
                raise UserError(f"{place}: time_start and time_end are not whole seconds: {row}") from None
            path = found.path(name, f"{names[0]}/{row['label']}/{name}.mp4")
            # The official splits stay as they are, even where one YouTube video is in two of them.
            group = row["youtube_id"] if split == "train" else ""
            listing.add(path, row["label"], split, place, group, video_id=name)
    return listing.finish(settings)


def _file(annotations: Path, names: list[str]) -> Path:
    files = sorted({file for name in names for file in annotations.glob(f"*{name}.csv")})
    if len(files) != 1:
        raise UserError(
            f"{annotations} has {len(files)} files {' or '.join(f'*{name}.csv' for name in names)}, and one "
            "is needed: check data.annotations"
        )
    return files[0]
