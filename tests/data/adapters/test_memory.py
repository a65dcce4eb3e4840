from __future__ import annotations

import pytest

from tests.data.peaks import peak_bytes
from vidkd.data.tables import read_rows

LIST = """
import sys
from pathlib import Path
from vidkd.config.data import DataSettings
from vidkd.data.adapters.registry import write_listing

folder = Path(sys.argv[1])
write_listing(DataSettings(adapter="csv", n_shards=8), folder, folder, folder, folder / "classes.json")
"""


def write_lists(folder, rows, splits, grouped):
    """Split files of `rows` videos of 400 classes, a twentieth of them in each split but train."""
    folder.mkdir()
    start = 0
    for split in splits:
        end = start + (rows // 20 if split != "train" else rows - rows // 20 * (len(splits) - 1))
        with (folder / f"{split}.csv").open("w") as stream:
            stream.writelines(
                f"{split}/{n % 400:03}/video_{n:07}.mp4,class {n % 400:03}"
                + (f",{split} scene {n // 4}\n" if grouped else "\n")
                for n in range(start, end)
            )
        start = end
    return folder


@pytest.mark.parametrize(
    ("splits", "grouped"),
    [(("train", "val", "test"), True), (("train", "test"), False)],
    ids=["given", "cut"],
)
def test_a_listed_video_takes_less_than_a_kilobyte(tmp_path, splits, grouped):
    few, many = (
        peak_bytes(LIST, write_lists(tmp_path / str(rows), rows, splits, grouped))
        for rows in (20_000, 60_000)
    )
    assert sum(len(read_rows(file)) for file in (tmp_path / "60000").glob("shard_*.csv")) == 60_000
    assert (many - few) / 40_000 < 1000
