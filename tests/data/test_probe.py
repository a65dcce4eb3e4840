from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.data.videos import write_audio, write_video
from vidkd.data.probe import COLUMNS, probe_shard
from vidkd.data.tables import read_rows
from vidkd.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
HEADER = "video_id,path,label,split,group\n"


@pytest.fixture
def listed(tmp_path):
    write_video(tmp_path / "a.mp4", 12)
    write_audio(tmp_path / "b.mp4")
    rows = 'a,a.mp4,"left, or ""so""",train,g1\nb,b.mp4,right,train,\nc,c.mp4,right,test,\n'
    (tmp_path / "shard_3.csv").write_text(HEADER + rows)
    (tmp_path / "classes.json").write_text(json.dumps(['left, or "so"', "right"]))
    return tmp_path


def probe(folder):
    output = folder / "probe.csv"
    return probe_shard(folder / "shard_3.csv", folder / "classes.json", 3, folder, output), read_rows(output)


def test_usable_and_unusable_videos_are_told_apart(listed):
    (usable, excluded), rows = probe(listed)
    assert (usable, excluded) == (1, 2)
    assert list(rows[0]) == COLUMNS
    first, second, third = rows
    assert (first["label"], first["label_id"], first["shard"]) == ('left, or "so"', "0", "3")
    assert first["frames"] == "12"
    assert (first["status"], first["reason"], first["codec"], first["fps"]) == ("ok", "", "h264", "10.0")
    assert second["status"] == third["status"] == "excluded"
    assert (second["reason"], second["detail"]) == ("no_video", "the file has no video stream")
    assert (third["reason"], third["detail"]) == ("missing", "there is no such file")
    assert (first["reason"], first["detail"]) == ("", "")
    assert second["frames"] == ""


def test_a_second_probe_gives_the_same_bytes(listed):
    probe(listed)
    before = (listed / "probe.csv").read_bytes()
    probe(listed)
    assert (listed / "probe.csv").read_bytes() == before


def test_a_killed_probe_leaves_nothing_and_a_new_one_is_whole(listed):
    """The shard is the unit of resume."""
    rows = (listed / "shard_3.csv").read_text().removeprefix(HEADER)
    many = "".join(f"x{n},a.mp4,right,train,\n" for n in range(20_000))
    (listed / "shard_3.csv").write_text(HEADER + many)
    words = ["--videos", "shard_3.csv", "--classes", "classes.json", "--shard", "3", "--root", "."]
    command = [sys.executable, "-m", "workflow_scripts.probe_videos", *words, "--output", "probe.csv"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    before = sorted(path.name for path in listed.iterdir())
    for seconds in (0.5, 1.0, 2.0):
        job = subprocess.Popen(command, cwd=listed, env=environment, stderr=subprocess.PIPE, text=True)
        time.sleep(seconds)
        assert job.poll() is None, job.stderr.read()
        job.kill()
        job.communicate()
        assert sorted(path.name for path in listed.iterdir()) == before
    (listed / "shard_3.csv").write_text(HEADER + rows)
    assert len(probe(listed)[1]) == 3


def test_empty_shard_is_valid(listed):
    (listed / "shard_3.csv").write_text(HEADER)
    assert probe(listed) == ((0, 0), [])


def test_label_outside_the_classes_is_an_error(listed):
    (listed / "classes.json").write_text('["right"]')
    with pytest.raises(UserError, match=r"shard_3\.csv.*not in .*classes\.json"):
        probe(listed)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("shard_3.csv", None, "cannot read .*shard_3.csv"),
        ("shard_3.csv", "a,b\n1,2\n", "no column video_id"),
        ("classes.json", None, "cannot read .*classes.json"),
        ("classes.json", "not json", "cannot read .*classes.json"),
    ],
)
def test_bad_input_is_named(listed, name, content, message):
    (listed / name).unlink()
    if content is not None:
        (listed / name).write_text(content)
    with pytest.raises(UserError, match=message):
        probe(listed)
