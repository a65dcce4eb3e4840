"""Locks of a Snakemake that was killed go, those of one that runs stay."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vidkd.workflow.asking import drop_stale_locks

HOLDS = """
import sys
from pathlib import Path
from vidkd.workflow.asking import drop_stale_locks
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
