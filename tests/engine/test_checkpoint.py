"""Resume states on a real disk: round trips, files that must not be used, and one process at a time."""

from __future__ import annotations

import hashlib
import io
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.engine.touch import Touch
from tests.mounts import small_disk
from vidkd.engine.checkpoint import drop_state, load_state, only_run, save_state
from vidkd.errors import UserError

HOLD = """
import sys
from pathlib import Path
from vidkd.engine.checkpoint import only_run
with only_run(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the run folder until its input is closed."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run/.state")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_state_comes_back_as_it_was(tmp_path):
    state = {
        "weights": {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([1.5], dtype=torch.bfloat16)},
        "progress": {"epoch": 3, "best": float("-inf"), "history": [{"epoch": 1, "lr": 0.1}]},
        "generator": torch.Generator().manual_seed(7).get_state(),
    }
    save_state(tmp_path / "run/.state", "mark", state)
    found = load_state(tmp_path / "run/.state", "mark")
    assert found["progress"] == state["progress"]
    assert torch.equal(found["generator"], state["generator"])
    for name, value in state["weights"].items():
        assert found["weights"][name].dtype == value.dtype
        assert torch.equal(found["weights"][name], value)
    assert "stamp" not in found
    assert [path.name for path in (tmp_path / "run/.state").iterdir()] == ["state.pt"]


def test_a_state_with_a_flipped_bit_is_left_aside(tmp_path, caplog):
    """torch itself loads most of these, with other weights."""
    save_state(tmp_path, "mark", {"weights": torch.arange(64.0), "epoch": 3})
    path = tmp_path / "state.pt"
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        assert load_state(tmp_path, "mark") is None, place
    assert "starting from the beginning" in caplog.text
    path.write_bytes(whole)
    assert load_state(tmp_path, "mark")["epoch"] == 3


def test_a_later_state_replaces_the_earlier_one(tmp_path):
    for epoch in (1, 2):
        save_state(tmp_path, "mark", {"epoch": epoch})
    assert load_state(tmp_path, "mark") == {"epoch": 2}


def test_no_state_is_no_state_and_a_dropped_one_neither(tmp_path):
    assert load_state(tmp_path / "nowhere", "mark") is None
    save_state(tmp_path / "run/.state", "mark", {"epoch": 1})
    drop_state(tmp_path / "run/.state")
    assert load_state(tmp_path / "run/.state", "mark") is None
    assert list((tmp_path / "run").iterdir()) == []


def test_a_state_of_something_else_is_left_and_said(tmp_path, caplog):
    save_state(tmp_path, "mark", {"epoch": 1})
    assert load_state(tmp_path, "another") is None
    assert "belongs to other settings, code or inputs: starting from the beginning" in caplog.text
    assert str(tmp_path / "state.pt") in caplog.text
    assert load_state(tmp_path, "mark") == {"epoch": 1}


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _tensor(path: Path) -> None:
    torch.save(torch.zeros(3), path)


@pytest.mark.parametrize("damage", [_cut, _empty, _tensor])
def test_a_state_that_is_none_is_left_and_said(tmp_path, caplog, damage):
    save_state(tmp_path, "mark", {"weights": {"a": torch.zeros(100)}})
    damage(tmp_path / "state.pt")
    assert load_state(tmp_path, "mark") is None
    assert "starting from the beginning" in caplog.text
    assert str(tmp_path / "state.pt") in caplog.text


@pytest.mark.parametrize("with_torch", [True, False])
def test_code_in_a_state_does_not_run(tmp_path, caplog, with_torch):
    content = {"stamp": "mark", "epoch": Touch(tmp_path / "ran")}
    written = io.BytesIO()
    if with_torch:
        torch.save(content, written)
    else:
        pickle.dump(content, written, protocol=2)
    made = hashlib.sha256(written.getvalue()).digest() + written.getvalue()  # its sum is right
    (tmp_path / "state.pt").write_bytes(made)
    assert load_state(tmp_path, "mark") is None
    assert not (tmp_path / "ran").exists()
    assert "state.pt cannot be read" in caplog.text


def test_a_full_disk_is_said_and_leaves_the_earlier_state(tmp_path):
    with small_disk(tmp_path / "disk", 2**20) as disk:
        save_state(disk, "mark", {"epoch": 1})
        with pytest.raises(UserError, match=r"No space left.*Free space"):
            save_state(disk, "mark", {"weights": {"a": torch.zeros(2**20)}})
        assert load_state(disk, "mark") == {"epoch": 1}
        assert [path.name for path in disk.iterdir()] == ["state.pt"]


def test_a_second_process_is_told_to_wait(tmp_path, holder):
    state = tmp_path / "run/.state"
    with (
        pytest.raises(UserError, match=r"another process is training into .*run: wait for it"),
        only_run(state),
    ):
        pytest.fail("the folder was given twice")
    holder.communicate("")
    assert holder.returncode == 0
    with only_run(state):
        assert state.is_dir()


def test_a_killed_process_gives_the_folder_back(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with only_run(tmp_path / "run/.state"):
        assert (tmp_path / "run/.state").is_dir()


def test_a_folder_that_cannot_be_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="choose another results_dir"), only_run(tmp_path / "file/run/.state"):
        pytest.fail("there is no such folder")


def test_a_read_only_disk_is_said(tmp_path):
    with (
        small_disk(tmp_path / "disk", 2**20, read_only=True) as disk,
        pytest.raises(UserError, match=r"Read-only.*choose another results_dir"),
        only_run(disk / "r/.state"),
    ):
        pytest.fail("nothing can be written there")


def test_an_error_of_the_run_itself_stays_what_it_is(tmp_path):
    with pytest.raises(PermissionError, match="not ours"), only_run(tmp_path / "run/.state"):
        raise PermissionError("not ours")
