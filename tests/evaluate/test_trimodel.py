"""Figures of tri-model students against values worked out by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from vidkd.errors import UserError
from vidkd.evaluate.trimodel import figures, measure

CLASSES = ["fighting", "normal", "riot"]
TABLE = pd.DataFrame(
    {
        "video_id": list("abcd"),
        "label_id": [0, 1, 1, 2],
        "pred": [0, 1, 0, 0],
        "s_0": [0.7, 0.1, 0.6, 0.5],
        "s_1": [0.2, 0.8, 0.3, 0.1],
        "s_2": [0.1, 0.1, 0.1, 0.4],
        "teacher_pred": [0, 1, 1, 2],
        "assistant_pred": [0, 1, 0, 2],
    }
)
CONFIG = {
    "variant": "both", "seed": 0, "label": "class", "teacher": "a", "assistant": "random", "train_clips": 4,
    "labelled_clips": 4, "classes": CLASSES, "settings": {"frames": 8},
}  # fmt: skip


def measured(table: pd.DataFrame) -> dict:
    return measure(table, CONFIG, {"task_loss": 0.5, "epoch": 3}, {"params": 10, "gflops": 1.0}, "normal")


def test_average_precision_of_classes_and_of_all_but_the_normal_one():
    found = figures(TABLE, CLASSES, "normal")
    # Every class is ranked before all others.
    assert found["ap"] == pytest.approx(100)
    # By 1 - s_1: d (0.9) and a (0.8) come first, both no normal ones.
    assert found["ap_anomaly"] == pytest.approx(100)
    assert found["per_class"] == {"fighting": 100, "normal": 50, "riot": 0}
    assert found["top1"] == 50
    turned = TABLE.assign(s_1=[0.8, 0.2, 0.3, 0.1])
    # By 1 - s_1: d, b, c, a; precision is 1 at d and 2/4 at a.
    assert figures(turned, CLASSES, "normal")["ap_anomaly"] == pytest.approx(100 * (1 + 2 / 4) / 2)
    # Of class 1 by s_1: a, c, b, d; precision 1/2 at c and 2/3 at b.
    assert figures(turned, CLASSES, None)["ap"] == pytest.approx(100 * (1 + (1 / 2 + 2 / 3) / 2 + 1) / 3)
    assert "ap_anomaly" not in figures(TABLE, CLASSES, None)


def test_average_precision_counts_every_class_that_a_video_carries():
    carried = TABLE.assign(label_ids=["0;2", "1", "1", "2"])
    # Of class 2 by s_2: d, then a, b and c alike; precision 1 at d and 2/4 at a.
    assert figures(carried, CLASSES, None)["ap"] == pytest.approx(100 * (1 + 1 + (1 + 2 / 4) / 2) / 3)


def test_a_normal_class_that_is_none_is_refused():
    with pytest.raises(
        UserError, match=r"trimodel\.normal: no class is called 'norml'; known: fighting, normal"
    ):
        figures(TABLE, CLASSES, "norml")


def test_what_is_measured_of_a_run():
    found = measured(TABLE)
    assert (found["agreement_teacher"], found["agreement_assistant"]) == (50, 75)
    assert found["task_loss"] == 0.5
    assert "epoch" not in found
    assert found["result_gate"]["passed"]


def test_the_result_gate_fires_when_all_clips_get_one_class():
    found = measured(TABLE.assign(pred=0))
    assert found["result_gate"] == {"passed": False, "reason": "every clip gets the same class"}
