"""Bars of classes: their heights, and which are drawn of many."""

from __future__ import annotations

import pytest

from tests.report.drawn import assert_draws_the_same_twice, figure_of, given, words
from vidkd.report import per_class

HEADER = "method,variant,class,clips,precision,recall,f1\n"
TABLE = f"""{HEADER}ffn,tsm,007,5,1,20,1
ffn,tsm,bee,5,1,40.5,1
ffn,ffn,007,5,1,60,1
ffn,ffn,bee,0,,,
student,nan,striped,9,1,0,1
"""


def bars(axes):
    """Heights by variant."""
    return {c.get_label(): [bar.get_height() for bar in c] for c in axes.containers}


def table_of(tmp_path, recall):
    """A table of one method from recalls by variant."""
    rows = [
        f"m,{variant},c{k},9,1,{value},1"
        for variant, values in recall.items()
        for k, value in enumerate(values)
    ]
    path = tmp_path / "per_class.csv"
    path.write_text(HEADER + "\n".join(rows) + "\n")
    return path


def drawn(path):
    return figure_of(per_class.draw_per_class, given({"table": path})).axes


def test_bars_are_recalls_of_the_table(tmp_path):
    path = tmp_path / "per_class.csv"
    path.write_text(TABLE)
    first, second = drawn(path)
    assert bars(first) == {"tsm": [20, 40.5], "ffn": [60, pytest.approx(float("nan"), nan_ok=True)]}
    assert bars(second) == {"nan": [0]}
    assert [label.get_text() for label in first.get_xticklabels()] == ["007", "bee"]
    assert [axes.get_title(loc="left") for axes in (first, second)] == ["ffn", "student"]
    edges = [bar.get_x() for container in first.containers for bar in container]
    assert len(set(edges)) == 4, "no bar stands on another"


def test_of_many_classes_those_that_gain_and_lose_most_are_drawn(tmp_path):
    gain = [(7 * k) % 31 - 15 for k in range(30)]  # all different
    recall = {"base": [50] * 30, "one": [50 + of for of in gain], "two": [50 + 3 * of for of in gain]}
    (axes,) = drawn(table_of(tmp_path, recall))
    order = sorted(range(30), key=gain.__getitem__)
    shown = [*order[:10], *order[-10:]]
    assert [label.get_text() for label in axes.get_xticklabels()] == [f"c{k}" for k in shown]
    assert bars(axes)["two"] == [recall["two"][k] for k in shown]
    title = axes.get_title(loc="left").replace("\n", " ")
    assert title == (
        "m: of the 30 classes the 10 that lose most against base and the 10 that gain most, mean over the "
        "other variants"
    )


def test_many_classes_of_one_variant_are_the_lowest_and_the_highest(tmp_path):
    (axes,) = drawn(table_of(tmp_path, {"alone": list(range(25))}))
    assert bars(axes)["alone"] == [*range(10), *range(15, 25)]
    assert "lowest" in axes.get_title(loc="left")


def test_twenty_classes_are_all_drawn(tmp_path):
    (axes,) = drawn(table_of(tmp_path, {"alone": list(range(20)), "other": list(range(20))}))
    assert bars(axes)["alone"] == list(range(20))
    assert axes.get_title(loc="left") == "m"


def test_a_long_name_of_a_class_has_two_lines():
    name = "Pretending to put something behind something and then taking it away"
    lines = per_class.class_label(name).split("\n")
    assert len(lines) == 2
    assert max(map(len, lines)) <= 26
    assert lines[1].endswith("…")
    assert per_class.class_label("move_left") == "move_left"


def test_the_script(tmp_path):
    path = tmp_path / "per_class.csv"
    path.write_text(TABLE)
    draw, inputs = "vidkd.report.per_class:draw_per_class", given({"table": path})
    svg = assert_draws_the_same_twice(draw, tmp_path, inputs, {"per_class.csv"})
    assert {"ffn", "student", "tsm", "nan", "007", "striped", "recall (%)"} <= set(words(svg))
