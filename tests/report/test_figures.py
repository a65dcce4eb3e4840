"""Figures of one table each: accuracy by frame count, converters, how like features are, fusion heads."""

from __future__ import annotations

import numpy as np
import pytest

from tests.report.drawn import assert_draws_the_same_twice, figure_of, given, words
from tests.report.results import ANY_FRAME, CONVERTERS, FUSION
from vidkd.methods.converters import figures as of_converters
from vidkd.methods.ffn import figures as of_ffn
from vidkd.methods.fusion import figures as of_fusion

ANY = ANY_FRAME.replace("ffn", "007")
SIMILARITY = """one,other,cka
vjepa2,vjepa2,1
vjepa2,007,0.25
vjepa2,linear(007),-0.014
007,vjepa2,0.25
007,007,1
007,linear(007),
linear(007),vjepa2,-0.014
linear(007),007,
linear(007),linear(007),1
"""


@pytest.fixture
def table(tmp_path):
    def write(text):
        (tmp_path / "table.csv").write_text(text)
        return given({"table": tmp_path / "table.csv"})

    return write


def test_accuracies_by_frame_count_are_those_of_the_table(table):
    (axes,) = figure_of(of_ffn.draw_tfd, table(ANY)).axes
    curves = {line.get_label(): np.column_stack(line.get_data()).tolist() for line in axes.get_lines()}
    assert curves == {"tsm": [[1, 20], [2, 40]], "007": [[1, 80], [2, 85]]}


def test_a_random_converter_lies_at_the_end_of_the_axis(table):
    left, right = figure_of(of_converters.draw_quality, table(CONVERTERS)).axes
    assert [line.get_xdata()[0] for line in left.get_lines() if line.get_marker() in "os"] == [0.3126, -1]
    assert [line.get_xdata()[0] for line in right.get_lines() if line.get_marker() in "os"] == [
        0.7134,
        0.1234,
    ]
    assert left.get_xlabel() == "R² (-1: or less)"
    figure = figure_of(of_converters.draw_quality, table(CONVERTERS.replace("-2.5,", "-0.5,")))
    assert figure.axes[0].get_xlabel() == "R²"


def test_a_baseline_by_itself_has_a_figure(table):
    figure = figure_of(of_fusion.draw_fusion, table("\n".join(FUSION.splitlines()[:2]) + "\n"))
    assert figure.axes[0].get_xlabel() == "gain over alone (60.1%), points of top-1 accuracy"


def test_squares_are_those_of_the_table(table):
    (axes,) = figure_of(of_converters.draw_similarity, table(SIMILARITY)).axes
    drawn = np.ma.filled(axes.images[0].get_array(), np.nan)
    np.testing.assert_array_equal(drawn, [[1, 0.25, -0.014], [0.25, 1, np.nan], [-0.014, np.nan, 1]])
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [label.get_text() for label in labels] == ["vjepa2", "007", "linear(007)"]
    assert {text.get_position(): text.get_text() for text in axes.texts} == {
        (0, 0): "1.00", (1, 0): "0.25", (2, 0): "-0.01", (0, 1): "0.25", (1, 1): "1.00", (0, 2): "-0.01",
        (2, 2): "1.00",
    }  # fmt: skip


SCRIPTS = [
    (
        "vidkd.methods.ffn.figures:draw_tfd",
        ANY,
        {"tsm", "007", "frames seen at test time", "top-1 accuracy (%)"},
    ),
    (
        "vidkd.methods.converters.figures:draw_quality",
        CONVERTERS,
        {"linear", "random", "mean feature", "vivit", "R² (-1: or less)", "cosine"},
    ),
    (
        "vidkd.methods.converters.figures:draw_similarity",
        SIMILARITY,
        {"linear(007)", "007", "vjepa2"},
    ),
    (
        "vidkd.methods.fusion.figures:draw_fusion",
        FUSION,
        {"<all>", "random", "62.3%", "60.0%", "differs (p < 0.05)", "not told apart"},
    ),
]


@pytest.mark.parametrize(("draw", "text", "said"), SCRIPTS, ids=["tfd", "converters", "similarity", "fusion"])
def test_the_scripts(draw, text, said, table, tmp_path):
    svg = assert_draws_the_same_twice(draw, tmp_path, table(text), {"table.csv"})
    found = set(words(svg))
    assert said <= found
    assert "alone" not in found, "the baseline is a line"
