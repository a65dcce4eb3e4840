"""Run by torchrun: a student or a tri-model of the files of a test, in several processes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.engine.torchrun import torchrun
from vidkd.engine.logging import setup_logging


def train(method: str, root: Path, run_dir: Path, changes: dict[str, object]) -> Path:
    """Its weights; imports are here because open_clip and transformers take seconds each."""
    if method == "student":
        from tests.methods.student import taught

        return taught.below(root).train(run_dir, taught.changed(**changes))
    from tests.methods.trimodel.assisted import Assisted, changed

    return Assisted(root).train(run_dir, changed(**changes))


def check_two_are_as_one(method: str, root: Path, folder: Path, changes: dict[str, object]) -> None:
    """Train in one and in two processes; 4e-5 was seen between them, of sums in another order."""
    train(method, root, folder / "one", changes)
    done = torchrun(2, "tests.methods.shared", method, root, folder / "two", json.dumps(changes))
    assert done.returncode == 0, done.stderr
    one, two = (pd.read_csv(folder / name / "history.csv") for name in ("one", "two"))
    pd.testing.assert_frame_equal(one, two, rtol=2e-4)
    norms = [
        json.loads((folder / name / "config.json").read_text())["gradient_norms"] for name in ("one", "two")
    ]
    assert norms[1] == pytest.approx(norms[0], rel=2e-4)


if __name__ == "__main__":
    setup_logging()
    train(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), json.loads(sys.argv[4]))
