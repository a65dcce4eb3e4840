"""Training curves: which panels there are, and which points."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.report.drawn import assert_draws_the_same_twice, assert_refused, figure_of, given, words
from vidkd.report import curves

DRAW = "vidkd.report.curves:draw_curves"

FILES = {
    "a/0": "epoch,lr,task_loss,val_loss,val_top1\n1,0.1,4,,\n2,0.1,2,1.5,30\n",
    "a/1": "epoch,lr,task_loss,val_loss,val_top1\n1,0.1,6,,\n2,0.1,3,2.5,50\n",
    "b/0": "epoch,lr,kl_4f_loss,val_acc_4f\n1,0.1,9,10\n2,0.1,8,20\n3,0.1,7,30\n4,0.1,6,40\n",
    "random/0": "epoch,val_loss\n0,7\n",
}


@pytest.fixture
def histories(tmp_path):
    found = {}
    for name, text in FILES.items():
        path = tmp_path / "runs" / name / "history.csv"
        path.parent.mkdir(parents=True)
        path.write_text(text)
        path.with_name("config.json").write_text("{}")
        found.setdefault(name.partition("/")[0], []).append(path)
    return found


def lines(figure):
    """Points (x, y) by panel and curve."""
    return {
        axes.get_title(): {
            line.get_label(): np.column_stack(line.get_data()).tolist() for line in axes.get_lines()
        }
        for axes in figure.axes
        if axes.axison
    }


def test_points_are_means_over_seeds_at_shares_of_training(histories):
    figure = figure_of(curves.draw_curves, given(histories))
    panels = lines(figure)
    assert list(panels) == [
        "task term", "KL term at 4 frames", "validation loss", "validation top-1 (%)",
        "validation top-1 (%) at 4 frames",
    ]  # fmt: skip
    assert panels["task term"] == {"a": [[0.5, 5], [1, 2.5]], "b": [], "random": []}
    assert panels["KL term at 4 frames"]["b"] == [[0.25, 9], [0.5, 8], [0.75, 7], [1, 6]]
    assert panels["validation loss"] == {"a": [[1, 2]], "b": [], "random": [[0, 7]]}
    assert panels["validation top-1 (%)"]["a"] == [[1, 40]]


def test_of_a_sweep_only_the_trial_that_was_taken_is_drawn(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("trial,trial_lr,epoch,ce_loss\n0,1,1,5\n0,1,2,4\n1,2,1,3\n1,2,2,2\n")
    path.with_name("config.json").write_text(json.dumps({"trial": 1}))
    figure = figure_of(curves.draw_curves, given({"head": path}))
    assert lines(figure) == {"cross-entropy term": {"head": [[0.5, 3], [1, 2]]}}


@pytest.mark.parametrize(
    ("column", "title"),
    [
        ("response_loss", "response term"),
        ("teacher_feature_loss", "teacher's features"),
        ("ce_1f_loss", "cross-entropy term at 1 frame"),
        ("val_l2_loss", "validation L2 term"),
        ("val_r2", "validation R²"),
        ("val_cosine", "validation cosine"),
    ],
)
def test_titles_say_what_a_column_is(column, title):
    assert curves.panel_title(column) == title


def test_the_script(histories, tmp_path):
    weights = {
        name: tuple(str(path.with_name("model.safetensors")) for path in paths)
        for name, paths in histories.items()
    }
    names = {"history.csv", "config.json", "model.safetensors"}
    for path in (file for files in weights.values() for file in files):
        Path(path).write_bytes(b"")
    svg = assert_draws_the_same_twice(DRAW, tmp_path, given(histories, weights=weights), names)
    found = words(svg)
    assert {"a", "b", "random", "task term", "share of training"} <= set(found)
    assert found.count("share of training") == 5
    assert_refused(DRAW, tmp_path, given({"a": Path("absent.csv")}), "absent.csv does not exist")
