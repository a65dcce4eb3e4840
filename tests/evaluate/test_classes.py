"""Figures of predictions: each against scikit-learn, or worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from vidkd.errors import UserError
from vidkd.evaluate.classes import (
    average_precision,
    calibration_error,
    confusion,
    macro_f1,
    per_class,
    read_predictions,
    reported_count,
    top_k_share,
    weighted_f1,
)

CLASSES = 7


def predictions(seed: int, clips: int, sure: float = 2.0) -> pd.DataFrame:
    """Random scores that lean to the label, so that some classes are never a label or a prediction."""
    rng = np.random.default_rng(seed)
    label = rng.integers(CLASSES, size=clips)
    logits = rng.normal(size=(clips, CLASSES)) + sure * np.eye(CLASSES)[label]
    scores = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    table = pd.DataFrame({"video_id": [f"v{n}" for n in range(clips)], "label_id": label})
    columns = {f"s_{k}": scores[:, k] for k in range(CLASSES)}
    return pd.concat([table.assign(pred=scores.argmax(1)), pd.DataFrame(columns)], axis=1)


def scores_of(table):
    return table[[f"s_{k}" for k in range(CLASSES)]].to_numpy()


@given(seed=st.integers(0, 2**32 - 1), clips=st.integers(1, 40))
@settings(max_examples=40)
def test_shares_are_those_of_scikit_learn(seed, clips):
    table = predictions(seed, clips)
    label, pred = table["label_id"], table["pred"]
    assert macro_f1(table) == pytest.approx(100 * metrics.f1_score(label, pred, average="macro"))
    assert weighted_f1(table) == pytest.approx(100 * metrics.f1_score(label, pred, average="weighted"))
    names = range(CLASSES)
    assert confusion(table, CLASSES).tolist() == metrics.confusion_matrix(label, pred, labels=names).tolist()
    found = per_class(table, CLASSES)
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        label, pred, labels=names, zero_division=np.nan
    )
    assert found["clips"].tolist() == support.tolist()
    assert found["precision"].to_numpy() == pytest.approx(100 * precision, nan_ok=True)
    assert found["recall"].to_numpy() == pytest.approx(100 * recall, nan_ok=True)
    seen = [k in {*label, *pred} for k in names]
    assert found["f1"][seen].to_numpy() == pytest.approx(100 * f1[seen])
    for k in (1, 3, 5):
        expected = metrics.top_k_accuracy_score(label, scores_of(table), k=k, labels=names)
        assert top_k_share(table, k) == pytest.approx(100 * expected)


def test_average_precision_is_the_mean_over_the_classes_that_are_there():
    table = predictions(3, 50)
    label = table["label_id"].to_numpy()
    one_hot = np.eye(CLASSES)[label][:, sorted(set(label))]
    scores = scores_of(table)[:, sorted(set(label))]
    expected = metrics.average_precision_score(one_hot, scores, average="macro")
    assert average_precision(table) == pytest.approx(100 * expected)


def test_average_precision_counts_every_class_that_a_clip_carries():
    table = pd.DataFrame(
        {"label_id": [0, 1], "pred": [0, 1], "label_ids": ["0;1", "1"], "s_0": [0.2, 0.8], "s_1": [0.9, 0.6]}
    )
    # Class 0: its one clip is ranked second, so 1/2. Class 1: both clips carry it, so 1.
    assert average_precision(table) == pytest.approx(75)


def test_calibration_error_by_hand():
    # Two clips in the bin of 0.9 (half right), two in that of 0.6 (all right): |0.9 - 0.5|/2 + |0.6 - 1|/2.
    confidence, right = [0.9, 0.9, 0.6, 0.6], [True, False, True, True]
    table = pd.DataFrame({"label_id": 0, "pred": [0 if yes else 1 for yes in right]}, index=range(4))
    table["s_0"] = [c if yes else 1 - c for c, yes in zip(confidence, right, strict=True)]
    table["s_1"] = 1 - table["s_0"]
    assert calibration_error(table) == pytest.approx(40)


@given(seed=st.integers(0, 2**32 - 1), clips=st.integers(1, 60))
@settings(max_examples=30)
def test_calibration_error_bin_by_bin(seed, clips):
    table, total = predictions(seed, clips, sure=1.0), 0.0
    rows = [(max(row), label == pred) for row, label, pred in
            zip(scores_of(table).tolist(), table["label_id"], table["pred"], strict=True)]  # fmt: skip
    for number in range(15):
        inside = [row for row in rows if number / 15 < row[0] <= (number + 1) / 15]
        if inside:
            mean = sum(c for c, _ in inside) / len(inside)
            total += len(inside) * abs(mean - sum(yes for _, yes in inside) / len(inside))
    assert calibration_error(table) == pytest.approx(100 * total / clips, abs=1e-9)


def test_without_scores_there_is_no_precision_and_no_calibration():
    table = predictions(0, 9)[["video_id", "label_id", "pred"]]
    assert average_precision(table) is None
    assert calibration_error(table) is None


FFN = "video_id,label_id,pred_4f,pred_8f,pred_16f,s4_0,s4_1,s8_0,s8_1\n007,1,0,1,0,.6,.4,.3,.7\n"


def test_of_several_frame_counts_the_largest_with_scores_is_read(tmp_path):
    file = tmp_path / "predictions.csv"
    file.write_text(FFN)
    table = read_predictions(file)
    assert table.to_dict("records") == [{"video_id": "007", "label_id": 1, "pred": 1, "s_0": 0.3, "s_1": 0.7}]
    assert reported_count(pd.read_csv(file)) == 8
    file.write_text("video_id,label_id,pred_4f,pred_16f\na,1,0,1\n")
    assert read_predictions(file).to_dict("records") == [{"video_id": "a", "label_id": 1, "pred": 1}]
    assert reported_count(pd.read_csv(file)) == 16


@pytest.mark.parametrize("text", ["video_id,label_id,pred\n", "video_id,label_id\na,1\n"])
def test_predictions_of_nothing_are_refused(tmp_path, text):
    (tmp_path / "predictions.csv").write_text(text)
    with pytest.raises(UserError, match="delete it and run again"):
        read_predictions(tmp_path / "predictions.csv")


def test_a_class_without_clips_has_no_recall():
    found = per_class(pd.DataFrame({"label_id": [0, 0], "pred": [0, 1]}), 3)
    assert found["clips"].tolist() == [2, 0, 0]
    assert found["recall"].tolist()[0] == 50
    assert math.isnan(found["recall"][1])
    assert math.isnan(found["precision"][2])
