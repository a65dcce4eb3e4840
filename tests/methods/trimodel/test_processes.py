"""Trained in two processes on the CPU: what one gives, or a sentence."""

from __future__ import annotations

import json

import pytest

from tests.engine.torchrun import torchrun
from tests.methods.shared import check_two_are_as_one

COMMON = {"batch_size": 15, "epochs": 2, "optimizer": "sgd", "lr": 0.01}


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes", [{"mixup": 0.8, "unlabelled": "distil"}, {"gradient_checkpointing": True, "accumulate": 2}]
)
def test_two_processes_give_what_one_gives(assisted, tmp_path, changes):
    """Fifteen clips are no two equal parts."""
    check_two_are_as_one("trimodel", assisted.root, tmp_path, COMMON | changes)


@pytest.mark.slow
def test_what_cannot_be_shared_is_refused(assisted, tmp_path):
    for number, (changes, said) in enumerate(
        [
            ({"asymmetric": "decorrelation"}, "asymmetric: decorrelation is over"),
            ({"drop_path": 0.5}, "draws with rand"),
        ]
    ):
        done = torchrun(
            2, "tests.methods.shared", "trimodel", assisted.root, tmp_path / str(number), json.dumps(changes)
        )
        assert done.returncode != 0
        assert said in done.stderr
