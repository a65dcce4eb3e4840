from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.mounts import small_disk
from vidkd.errors import UserError
from vidkd.files import atomic, atomic_folder, write_text


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    write_text(tmp_path / "a/b.txt", "old")
    with pytest.raises(RuntimeError), atomic(tmp_path / "a/b.txt") as temporary:
        _fail_in(temporary, RuntimeError)
    assert (tmp_path / "a/b.txt").read_text() == "old"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.txt"]


def test_what_a_killed_process_left_goes_and_that_of_a_living_one_stays(tmp_path):
    ended = subprocess.Popen(["true"])
    ended.wait()
    place = tmp_path / "model.safetensors"
    names = [f".{place.name}.{ended.pid}.tmp", f".{place.name}.{os.getppid()}.tmp", f".other.{ended.pid}.tmp"]
    for name in names:
        (tmp_path / name).touch()
    write_text(place, "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([place.name, *names[1:]])


def test_a_zombie_is_no_living_process(tmp_path):
    """As what a killed machine's jobs are for a second or two: nobody has asked after their end."""
    place = tmp_path / "table.csv"
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as killed:
        left = tmp_path / f".{place.name}.{killed.pid}.tmp"
        left.touch()
        with atomic(place) as temporary:
            temporary.touch()
        assert left.exists()
        killed.kill()
        os.waitid(os.P_PID, killed.pid, os.WEXITED | os.WNOWAIT)
        with atomic(place) as temporary:
            temporary.touch()
    assert not left.exists()


def test_a_folder_that_is_a_file_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        write_text(tmp_path / "file/x.txt", "x")


def test_a_full_disk_is_a_sentence_and_leaves_nothing(tmp_path):
    with small_disk(tmp_path / "disk", 65536) as disk:
        with pytest.raises(UserError, match="No space left"):
            write_text(disk / "big.txt", "x" * 1_000_000)
        assert not list(disk.iterdir())
        write_text(disk / "small.txt", "x")


def test_torchvision_imports_beside_this_torch():
    code = "import vidkd.torchvision_ops, torchvision; print(torchvision.models.resnet18().fc)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Linear" in done.stdout


def test_a_folder_is_put_in_place_whole(tmp_path):
    place = tmp_path / "deep/network"
    (place.parent / ".network.tmp").mkdir(parents=True)
    (place.parent / ".network.tmp/left").touch()  # by a killed process
    with atomic_folder(place) as folder:
        (folder / "weights").write_text("1")
        assert not place.exists()
    with atomic_folder(place) as folder:
        (folder / "other").write_text("2")
        assert [file.name for file in place.iterdir()] == ["weights"]
    assert [file.name for file in place.iterdir()] == ["other"]
    assert [file.name for file in place.parent.iterdir()] == ["network"]


def test_a_folder_that_fails_leaves_the_old_one(tmp_path):
    place = tmp_path / "network"
    place.mkdir()
    (place / "old").touch()
    with pytest.raises(UserError, match=r"cannot write .*network: half-way"), atomic_folder(place) as folder:
        _fail_in(folder / "new", OSError)
    assert [file.name for file in tmp_path.rglob("*")] == ["network", "old"]


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(UserError, match=r"cannot write .*Free space"),
        atomic_folder(tmp_path / "file/network"),
    ):
        pass


def _fail_in(file, error):
    file.write_text("half")
    raise error("half-way")
