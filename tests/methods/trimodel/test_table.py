"""Figures of tri-model students against values worked out by hand."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from vidkd.errors import UserError
from vidkd.evaluate.paired import read_runs
from vidkd.methods.evaluate import evaluate
from vidkd.methods.inputs import Inputs
from vidkd.methods.needs import Needs
from vidkd.methods.trimodel.table import over_the_teacher

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
    "seed": 0, "label": "class", "teacher": "a", "assistant": "random", "train_clips": 4,
    "labelled_clips": 4, "classes": CLASSES, "settings": {"frames": 8},
}  # fmt: skip


def write_run(
    folder: Path, table: pd.DataFrame, run: str = "both", normal: str | None = None, **more: object
):
    """The files of one run; its metrics by the road, and where they are."""
    folder.mkdir(parents=True)
    table.to_csv(folder / "predictions.csv", index=False)
    pd.DataFrame([{"task_loss": 0.9, "epoch": 2}, {"task_loss": 0.5, "epoch": 3}]).to_csv(
        folder / "history.csv", index=False
    )
    (folder / "config.json").write_text(json.dumps(CONFIG | more))
    (folder / "efficiency.json").write_text(json.dumps({"params": 10, "gflops": 1.0}))
    files = {"predictions": "predictions.csv", "efficiency": "efficiency.json", "config": "config.json",
             "history": "history.csv"}  # fmt: skip
    needs = Needs(results={name: (str(folder / file),) for name, file in files.items()})
    evaluate("trimodel", run, 0, Inputs(needs), {"normal": normal}, folder / "metrics.json")
    return folder / "metrics.json"


def measured(folder: Path, table: pd.DataFrame, normal: str | None = "normal") -> dict:
    return json.loads(write_run(folder, table, normal=normal).read_text())


def test_average_precision_of_classes_and_of_all_but_the_normal_one(tmp_path):
    found = measured(tmp_path / "a", TABLE)
    # Every class is ranked before all others.
    assert found["ap"] == pytest.approx(100)
    # By 1 - s_1: d (0.9) and a (0.8) come first, both no normal ones.
    assert found["ap_anomaly"] == pytest.approx(100)
    assert found["per_class"] == {"fighting": 100, "normal": 50, "riot": 0}
    assert found["top1"] == 50
    turned = TABLE.assign(s_1=[0.8, 0.2, 0.3, 0.1])
    # By 1 - s_1: d, b, c, a; precision is 1 at d and 2/4 at a.
    assert measured(tmp_path / "b", turned)["ap_anomaly"] == pytest.approx(100 * (1 + 2 / 4) / 2)
    # Of class 1 by s_1: a, c, b, d; precision 1/2 at c and 2/3 at b.
    found = measured(tmp_path / "c", turned, None)
    assert found["ap"] == pytest.approx(100 * (1 + (1 / 2 + 2 / 3) / 2 + 1) / 3)
    assert "ap_anomaly" not in found


def test_average_precision_counts_every_class_that_a_video_carries(tmp_path):
    carried = TABLE.assign(label_ids=["0;2", "1", "1", "2"])
    # Of class 2 by s_2: d, then a, b and c alike; precision 1 at d and 2/4 at a.
    assert measured(tmp_path / "run", carried)["ap"] == pytest.approx(100 * (1 + 1 + (1 + 2 / 4) / 2) / 3)


def test_a_normal_class_that_is_none_is_refused(tmp_path):
    with pytest.raises(
        UserError, match=r"trimodel\.normal: no class is called 'norml'; known: fighting, normal"
    ):
        measured(tmp_path / "run", TABLE, "norml")


def test_what_is_measured_of_a_run(tmp_path):
    found = measured(tmp_path / "run", TABLE)
    assert (found["agreement_teacher"], found["agreement_assistant"]) == (50, 75)
    assert found["task_loss"] == 0.5
    assert "epoch" not in found
    assert found["result_gate"]["passed"]


def test_the_result_gate_fires_when_all_clips_get_one_class(tmp_path):
    found = measured(tmp_path / "run", TABLE.assign(pred=0))
    assert found["result_gate"] == {"passed": False, "reason": "every clip gets the same class"}


RIGHT = {
    # Which of 40 clips a variant answers rightly: the teacher alone the first 20.
    "ce": range(10), "teacher_only": range(20), "both": range(26), "random_assistant": range(34),
    "none_gained": range(20),
}  # fmt: skip
TAUGHT = {
    "ce": ("none", "none"), "teacher_only": ("a", "none"), "both": ("a", "b"),
    "random_assistant": ("a", "random"), "none_gained": ("a", "random"),
}  # fmt: skip


def write_answers(folder: Path, name: str, right: Collection[int]) -> Path:
    """A run with predictions of 40 clips of two classes; its `metrics.json`."""
    label = np.arange(40) % 2
    pred = np.where(np.isin(np.arange(40), list(right)), label, 1 - label)
    table = pd.DataFrame({"video_id": [f"v{k:02}" for k in range(40)], "label_id": label, "pred": pred})
    table = table.assign(s_0=1.0 - pred, s_1=1.0 * pred, teacher_pred=pred, assistant_pred=pred)
    teacher, assistant = TAUGHT[name]
    return write_run(folder / name, table, name, classes=["a", "b"], teacher=teacher, assistant=assistant)


def compared(tmp_path: Path, *names: str) -> dict[str, dict[str, float]]:
    runs = [write_answers(tmp_path, name, RIGHT[name]) for name in names]
    return over_the_teacher(read_runs(runs, "run", names[0]))


def test_students_of_both_are_compared_with_that_of_the_teacher_alone(tmp_path):
    found = compared(tmp_path, "ce", "teacher_only", "both", "none_gained")
    assert set(found) == {"both", "none_gained"}
    assert found["both"]["over_teacher"] == pytest.approx(100 * 6 / 40)
    # Six clips that only the one has right and none the other way: a sign test of six equal signs.
    assert found["both"]["over_teacher_p"] == pytest.approx(2 * 0.5**6, abs=0.01)
    assert found["both"]["over_teacher_low"] > 0
    assert found["none_gained"]["over_teacher"] == found["none_gained"]["over_teacher_high"] == 0


def test_without_a_student_of_the_teacher_alone_there_is_no_such_comparison(tmp_path):
    assert compared(tmp_path, "ce", "both") == {}


def test_a_control_that_gains_is_warned_of(tmp_path, caplog):
    compared(tmp_path / "fair", "ce", "teacher_only", "both", "none_gained")
    assert caplog.messages == []
    compared(tmp_path / "odd", "ce", "teacher_only", "random_assistant")
    (said,) = caplog.messages
    assert said.startswith("random_assistant: an assistant without its weights gains 35.0 points")
