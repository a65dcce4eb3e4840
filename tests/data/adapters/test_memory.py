"""A list of any length takes the same memory; what tables may take is lowered here, to see it soon."""

from __future__ import annotations

import pytest

from tests.data.adapters.trees import write
from tests.data.peaks import peak_bytes
from vidkd.data.tables import read_rows

LIST = """
import sys
from pathlib import Path
from vidkd.config.data import DataSettings
from vidkd.data.adapters import scratch
from vidkd.data.adapters.registry import write_listing
from vidkd.data.labels import write_labels

scratch.CACHE_KB = 200
adapter, root = sys.argv[1], Path(sys.argv[2])
settings = DataSettings(adapter=adapter, n_shards=8, labelled=0.1)
write_listing(settings, root, root, root / "listed", root / "listed/classes.json")
write_labels(settings, root, root, root / "labels.csv", root / "labels.json")
"""
FEW, MANY = 10_000, 30_000


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


def write_kinetics(folder, rows):
    """Files and lists of `rows` clips of 400 classes, in folders of 1,000."""
    names = [f"{n:011}_000010_000020" for n in range(rows)]
    write(folder, {f"{n // 1000}/{name}.mp4": "" for n, name in enumerate(names)})
    lines = [f"class {n % 400:03},{name[:11]},10,20\n" for n, name in enumerate(names)]
    header = "label,youtube_id,time_start,time_end\n"
    write(folder, {"train.csv": header + "".join(lines[400:]), "val.csv": header + "".join(lines[:400])})
    return folder


def growth(adapter, few, many):
    """Bytes that each further video takes."""
    peaks = [peak_bytes(LIST, adapter, folder) for folder in (few, many)]
    for folder, rows in ((few, FEW), (many, MANY)):
        assert sum(len(read_rows(file)) for file in (folder / "listed").glob("shard_*.csv")) == rows
        assert len(read_rows(folder / "labels.csv")) == rows
    return (peaks[1] - peaks[0]) / (MANY - FEW)


@pytest.mark.parametrize(
    ("splits", "grouped"),
    [(("train", "val", "test"), True), (("train", "test"), True), (("train", "test"), False)],
    ids=["given", "cut by groups", "cut"],
)
def test_lists_of_any_length_take_the_same_memory(tmp_path, splits, grouped):
    folders = [write_lists(tmp_path / str(rows), rows, splits, grouped) for rows in (FEW, MANY)]
    assert growth("csv", *folders) < 50


def test_so_do_videos_that_are_looked_for_by_name(tmp_path):
    folders = [write_kinetics(tmp_path / str(rows), rows) for rows in (FEW, MANY)]
    assert growth("kinetics", *folders) < 50
