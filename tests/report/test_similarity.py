"""The heat map: squares are those of the table."""

from __future__ import annotations

import numpy as np
import pytest

from tests.report.drawn import assert_draws_the_same_twice, given, saved_figures, words
from vidkd.methods.converters import figures

TABLE = """one,other,cka
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
    path = tmp_path / "similarity.csv"
    path.write_text(TABLE)
    return given({"table": path})


def test_squares_are_those_of_the_table(table):
    with saved_figures(figures) as found:
        figures.draw_similarity(table, [])
    (axes,) = found[0].axes
    drawn = np.ma.filled(axes.images[0].get_array(), np.nan)
    np.testing.assert_array_equal(drawn, [[1, 0.25, -0.014], [0.25, 1, np.nan], [-0.014, np.nan, 1]])
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [label.get_text() for label in labels] == ["vjepa2", "007", "linear(007)"]
    assert {text.get_position(): text.get_text() for text in axes.texts} == {
        (0, 0): "1.00", (1, 0): "0.25", (2, 0): "-0.01", (0, 1): "0.25", (1, 1): "1.00", (0, 2): "-0.01",
        (2, 2): "1.00",
    }  # fmt: skip


def test_the_script(table, tmp_path):
    draw = "vidkd.methods.converters.figures:draw_similarity"
    svg = assert_draws_the_same_twice(draw, tmp_path, table, {"similarity.csv"})
    assert words(svg).count("linear(007)") == 2
