"""Locks of a Snakemake that was killed go, those of one that runs stay; nothing is dated in the future."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vidkd.leftovers import date_back, drop_stale_locks

HOLDS = """
import sys
from pathlib import Path
from vidkd.leftovers import drop_stale_locks
drop_stale_locks(Path(sys.argv[1]))
print("holds", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def state(tmp_path) -> Path:
    (tmp_path / ".snakemake/locks").mkdir(parents=True)
    (tmp_path / ".snakemake/locks/0.input.lock").write_text("results/data/manifest.csv\n")
    return tmp_path / ".snakemake"


@pytest.fixture
def holder(state):
    """Another process that runs in the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, state], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "holds\n"
    (state / "locks").mkdir(exist_ok=True)
    yield process
    process.kill()
    process.wait()


def test_locks_of_nobody_go(state):
    assert drop_stale_locks(state)
    assert not (state / "locks").exists()


def test_locks_of_a_running_process_stay_and_go_after_its_kill(state, holder):
    second = [sys.executable, "-c", HOLDS, state]
    subprocess.run(second, stdin=subprocess.DEVNULL, check=True)
    assert (state / "locks").exists()
    holder.kill()
    holder.wait()
    subprocess.run(second, stdin=subprocess.DEVNULL, check=True)
    assert not (state / "locks").exists()


def test_locks_stay_where_another_machine_has_run(state):
    (state / "running.login2").touch()
    assert not drop_stale_locks(state)
    assert (state / "locks").exists()


def test_a_folder_without_any_is_left_so(tmp_path):
    assert not drop_stale_locks(tmp_path / ".snakemake")
    assert [path.name.partition(".")[0] for path in (tmp_path / ".snakemake").iterdir()] == ["running"]


def test_files_of_a_clock_that_was_ahead_are_dated_now(tmp_path):
    now, month = time.time(), 30 * 86400
    for name, then in (("old", now - month), ("frames/new", now + month), ("fast", now + 5)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (then, then))
    assert date_back(tmp_path) == 1
    times = {name: (tmp_path / name).stat().st_mtime - now for name in ("old", "frames/new", "fast")}
    assert times == pytest.approx({"old": -month, "frames/new": 0, "fast": 5}, abs=2)
    assert date_back(tmp_path / "none") == 0
