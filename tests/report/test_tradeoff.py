"""Accuracy against cost: where points are, what they are called, and that labels do not cover each other."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from tests.report.drawn import assert_draws_the_same_twice, figure_of, given, words
from vidkd.report import tradeoff
from vidkd.report.tradeoff import free_places

HEADER = (
    "method,variant,frames,params,gflops,size_mb,peak_mb,ms_1,ms_1_low,ms_1_high,ms_2,ms_2_low,ms_2_high,top1"
)
TABLE = f"""{HEADER}
ffn,ffn,8,472000,1,1,1,20,1,1,1,1,1,80
ffn,ffn,4,472000,1,1,1,10,1,1,1,1,1,70
ffn,tsm,16,459000,1,1,1,40,1,1,1,1,1,75
student,ce,4,636000,1,1,1,,,,,,,60
student,teacher,4,120000,1,1,1,5,1,1,1,1,1,
trimodel,both,8,213000,1,1,1,5.5,1,1,1,1,1,55
"""


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "efficiency.csv"
    path.write_text(TABLE)
    return path


def points(axes):
    return [np.column_stack(line.get_data()).tolist() for line in axes.get_lines()]


def test_points_are_rows_of_the_table_and_those_of_a_variant_are_joined(table):
    figure = figure_of(tradeoff.draw_tradeoff, given({"table": table}))
    times, params = figure.axes
    # One has no time, and one no accuracy.
    assert points(times) == [[[10, 70], [20, 80]], [[40, 75]], [[5.5, 55]]]
    assert points(params) == [
        [[472000, 70], [472000, 80]], [[459000, 75]], [[636000, 60]], [[213000, 55]],
    ]  # fmt: skip
    assert {axes.get_xscale() for axes in figure.axes} == {"log"}
    markers = [line.get_marker() for line in params.get_lines()]
    assert markers[0] == markers[1]
    assert len(set(markers)) == 3


def test_the_number_beside_a_point_is_that_of_the_legend(table):
    figure = figure_of(tradeoff.draw_tradeoff, given({"table": table}))
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "1  ffn: ffn, 4 to 8 frames", "2  ffn: tsm", "3  student: ce", "4  trimodel: both",
    ]  # fmt: skip
    times, params = ({text.get_text(): tuple(text.xy) for text in axes.texts} for axes in figure.axes)
    assert times == {"1": (20, 80), "2": (40, 75), "4": (5.5, 55)}
    assert params == {"1": (472000, 80), "2": (459000, 75), "3": (636000, 60), "4": (213000, 55)}


@pytest.mark.parametrize("seed", range(5))
def test_no_label_covers_another_or_a_point(seed):
    random = np.random.default_rng(seed)
    point = random.uniform(20, 280, (20, 2))
    size = np.tile([12.0, 9.0], (20, 1))
    place = free_places(point, size, range(20), (0, 0, 300, 300))
    for one, other in combinations(range(20), 2):
        assert (np.abs(place[one] - place[other]) >= [12, 9]).any()
    apart = np.abs(place[:, None] - point[None])
    assert (apart >= np.array([12, 9]) / 2).any(axis=2).all()
    assert ((place >= [6, 4.5]) & (place <= [294, 295.5])).all()
    assert np.linalg.norm(place - point, axis=1).max() <= 4 * 9 + 1e-9


def test_where_there_is_no_room_a_label_lies_on_the_fewest():
    crowd = np.full((300, 2), 150.0) + np.random.default_rng(0).uniform(-60, 60, (300, 2))
    place = free_places(crowd, np.array([[12.0, 9.0]]), [0], (0, 0, 300, 300))
    assert np.isfinite(place).all()


@pytest.mark.parametrize(
    ("value", "text"), [(0.5, "0.5"), (20, "20"), (5000, "5 k"), (2e6, "2 M"), (1e9, "1 G")]
)
def test_numbers_are_short(value, text):
    assert tradeoff.short_number(value) == text


def test_the_script(table, tmp_path):
    draw, inputs = "vidkd.report.tradeoff:draw_tradeoff", given({"table": table})
    svg = assert_draws_the_same_twice(draw, tmp_path, inputs, {"efficiency.csv"})
    found = words(svg)
    assert {"ms a clip on one core", "parameters", "top-1 accuracy (%)", "2  ffn: tsm"} <= set(found)
    assert found.count("3") == 1
    assert found.count("4") == 2


@pytest.mark.parametrize("factor", [1, 1.05, 4, 9, 40, 300, 20000])
def test_an_axis_of_any_length_has_a_few_ticks(table, factor):
    lines = TABLE.replace("1,1,1,5.5,", f"1,1,1,{40 / factor},").splitlines()
    table.write_text("\n".join([lines[0], lines[3], lines[6]]) + "\n")
    figure = figure_of(tradeoff.draw_tradeoff, given({"table": table}))
    axes = figure.axes[0]
    low, high = axes.get_xlim()
    shown = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert 2 <= len(shown) <= 9
    assert low < 40 / factor <= 40 < high
