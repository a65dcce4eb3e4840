"""Confusion matrices against counting by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import confusion_matrix

from tests.report.drawn import assert_draws_the_same_twice, assert_refused, figure_of, given, words
from vidkd.report import confusion

CLASSES = ["ant", "$bee_$", "cat"]
DRAW = "vidkd.report.confusion:draw_confusion"


def inputs_of(files, folder, classes=CLASSES):
    """Predictions and class names."""
    (folder / "classes.json").write_text(json.dumps(classes))
    return given(files, classes=str(folder / "classes.json"))


@pytest.fixture
def predictions(tmp_path):
    """Of one network, and of FFN's kind at two frame counts; no clip is a cat."""
    random = np.random.default_rng(0)
    label = random.integers(2, size=40)
    pred = {name: random.integers(3, size=40) for name in ("plain", "few", "many")}
    table = pd.DataFrame({"video_id": [f"v{n}" for n in range(40)], "label_id": label})
    table.assign(pred=pred["plain"]).to_csv(tmp_path / "plain.csv", index=False)
    table.assign(pred_4f=pred["few"], pred_16f=pred["many"]).to_csv(tmp_path / "counts.csv", index=False)
    expected = {"plain": (label, pred["plain"]), "counts": (label, pred["many"])}
    return {name: tmp_path / f"{name}.csv" for name in expected}, expected


def test_squares_are_shares_of_the_clips_of_a_class(predictions, tmp_path):
    files, expected = predictions
    figure = figure_of(confusion.draw_confusion, inputs_of(files, tmp_path))
    for axes, (name, (label, pred)) in zip(figure.axes, expected.items(), strict=True):
        counts = confusion_matrix(label, pred, labels=[0, 1, 2])
        assert axes.get_title() == name
        drawn = np.ma.filled(axes.images[0].get_array(), np.nan)
        np.testing.assert_allclose(drawn[:2], 100 * counts[:2] / counts[:2].sum(1, keepdims=True))
        assert np.isnan(drawn[2]).all()
        assert [text.get_text() for text in axes.texts] == [f"{value:.0f}" for value in drawn[:2].ravel()]


def test_many_classes_have_no_names(predictions, tmp_path):
    files, _ = predictions
    many = [f"class {k}" for k in range(30)]
    figure = figure_of(confusion.draw_confusion, inputs_of(files, tmp_path, many))
    assert figure.axes[0].images[0].get_array().shape == (30, 30)
    assert not figure.axes[0].texts


def test_the_script(predictions, tmp_path):
    files, _ = predictions
    names = {"plain.csv", "counts.csv", "classes.json"}
    svg = assert_draws_the_same_twice(DRAW, tmp_path, inputs_of(files, tmp_path), names)
    assert {"plain", "counts", "predicted", "label", *CLASSES} <= set(words(svg))
    absent = inputs_of({**files, "x": Path("absent.csv")}, tmp_path)
    assert_refused(DRAW, tmp_path, absent, "absent.csv does not exist")
