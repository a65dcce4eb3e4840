from __future__ import annotations

import csv
import json
import zlib

import pytest

from tests.data.adapters.test_demo import DEMO, demo_tree
from vidkd.config.data import DataSettings
from vidkd.data.adapters.registry import find_adapter, write_listing
from vidkd.errors import UserError


def test_an_adapter_that_there_is_not_is_named():
    with pytest.raises(UserError, match="'other' is not known"):
        find_adapter("other")


class TestWriteListing:
    def write(self, folder, n_shards=3):
        settings = DataSettings(n_shards=n_shards)
        return write_listing(settings, folder, folder, folder / "out", folder / "out/classes.json")

    def test_shards_hold_every_video_once(self, tmp_path):
        demo_tree(
            tmp_path, train=DEMO + "".join(f'train/{n}.mp4,"left, ""so""",s,p,r,0,\n' for n in range(30))
        )
        (tmp_path / "val.csv").write_text(DEMO + 'val/0.mp4,"left, ""so""",s,p,r,0,\n')
        (tmp_path / "test.csv").write_text(DEMO + 'test/0.mp4,"left, ""so""",s,p,r,0,\n')
        assert self.write(tmp_path) == "30 train, 1 val, 1 test videos of 1 classes"
        seen = []
        for shard in range(3):
            with (tmp_path / f"out/shard_{shard}.csv").open(newline="") as file:
                ids = [row["video_id"] for row in csv.DictReader(file) if row["label"] == 'left, "so"']
            assert ids == sorted(ids)
            assert all(zlib.crc32(name.encode()) % 3 == shard for name in ids)
            seen += ids
        assert len(seen) == len(set(seen)) == 32
        assert json.loads((tmp_path / "out/classes.json").read_text()) == ['left, "so"']

    def test_same_content_gives_the_same_bytes_and_a_new_video_moves_none(self, tmp_path):
        demo_tree(tmp_path)
        self.write(tmp_path)
        before = {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
        self.write(tmp_path)
        assert {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()} == before
        with (tmp_path / "train.csv").open("a") as file:
            file.write("train/2.mp4,left,star,plain,red,1,\n")
        self.write(tmp_path)
        home = f"shard_{zlib.crc32(b'train/2') % 3}.csv"
        changed = [name for name, old in before.items() if (tmp_path / "out" / name).read_bytes() != old]
        assert changed == [home]

    def test_empty_shard_has_a_header(self, tmp_path):
        demo_tree(tmp_path)
        self.write(tmp_path, n_shards=50)
        texts = {file.read_text() for file in (tmp_path / "out").glob("shard_*.csv")}
        assert "video_id,path,label,split,group,labels\n" in texts
