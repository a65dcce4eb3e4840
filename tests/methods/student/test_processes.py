"""Trained in two processes on the CPU: what one gives, or a sentence."""

from __future__ import annotations

import pytest

from tests.methods.shared import check_two_are_as_one

COMMON = {"batch_size": 15, "epochs": 2, "optimizer": "sgd", "lr": 0.01}


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"teacher_view": "online", "hint": 0.1, "response": "dist", "dropout": 0.2},
        {"teacher_view": "cached", "response": "dkd", "pooling": "cls"},
    ],
)
def test_two_processes_give_what_one_gives(taught, tmp_path, changes):
    """Fifteen clips are no two equal parts."""
    check_two_are_as_one("student", taught.root, tmp_path, COMMON | changes)
