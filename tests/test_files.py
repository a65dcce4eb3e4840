from __future__ import annotations

import os
import subprocess
import sys

import pytest

from vidkd.errors import UserError
from vidkd.files import atomic, write_text


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    write_text(tmp_path / "a/b.txt", "old")
    with pytest.raises(RuntimeError):
        _die_half_way(tmp_path / "a/b.txt")
    assert (tmp_path / "a/b.txt").read_text() == "old"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.txt"]


def test_a_folder_that_is_a_file_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        write_text(tmp_path / "file/x.txt", "x")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a tmpfs needs root")
def test_a_full_disk_is_a_sentence_and_leaves_nothing(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"this machine mounts no tmpfs: {mounted.stderr.decode().strip()}")
    try:
        with pytest.raises(UserError, match="No space left"):
            write_text(disk / "big.txt", "x" * 1_000_000)
        assert not list(disk.iterdir())
        write_text(disk / "small.txt", "x")
    finally:
        subprocess.run(["umount", disk], check=True)


def test_torchvision_imports_beside_this_torch():
    code = "import vidkd.torchvision_ops, torchvision; print(torchvision.models.resnet18().fc)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Linear" in done.stdout


def _die_half_way(path):
    with atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
