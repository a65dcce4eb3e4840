"""Figures of one table each: accuracy by frame count, converters, fusion heads."""

from __future__ import annotations

import numpy as np
import pytest

from tests.report.drawn import assert_draws_the_same_twice, given, saved_figures, words
from vidkd.methods.converters import figures as of_converters
from vidkd.methods.ffn import figures as of_ffn
from vidkd.methods.fusion import figures as of_fusion

ANY = "variant,frames,acc,acc_std,seeds\ntsm,1,20,1,2\ntsm,2,40,1,2\n007,1,80,,1\n007,2,85,,1\n"
CONVERTERS = """converter,teacher,split,seeds,clips,r2,r2_std,r2_mean_feature,cosine,cosine_std,\
cosine_mean_feature,cka,cka_std,probe_top1,probe_top1_std,params
linear,vivit,test,2,600,0.3126,0.0114,-0.0021,0.7134,0.0012,0.5512,,,50.25,1.25,4160
random,vivit,test,2,600,-2.5,0.02,-0.0021,0.1234,0.0012,0.5512,,,9.0,1.0,4160
linear,vivit,val,2,300,0.3321,0.0114,-0.0011,0.7234,0.0012,0.5412,,,51.25,1.25,4160
"""
FUSION = """variant,inputs,seeds,clips,top1,top1_std,low,high,clips_compared,\
delta_vs_student,delta_vs_student_std,delta_low,delta_high,p_vs_student,p_holm
alone,vjepa2,2,600,60.1,0.5,56.1,64.0,600,,,,,,
<all>,vjepa2 + linear(vivit),2,600,62.3,0.6,58.2,66.1,600,2.25,0.25,0.5,4.125,0.0123,0.0246
random,vjepa2 + random(vivit),2,600,60.0,0.6,56.0,64.1,600,-0.1,0.75,-1.1,1.4,0.81,0.81
"""


@pytest.fixture
def table(tmp_path):
    def write(text):
        (tmp_path / "table.csv").write_text(text)
        return given({"table": tmp_path / "table.csv"})

    return write


def curves(axes):
    return {line.get_label(): np.column_stack(line.get_data()).tolist() for line in axes.get_lines()}


def test_accuracies_by_frame_count_are_those_of_the_table(table):
    with saved_figures(of_ffn) as found:
        of_ffn.draw_tfd(table(ANY), [])
    assert curves(found[0].axes[0]) == {"tsm": [[1, 20], [2, 40]], "007": [[1, 80], [2, 85]]}


def test_a_random_converter_lies_at_the_end_of_the_axis(table):
    with saved_figures(of_converters) as found:
        of_converters.draw_quality(table(CONVERTERS), [])
    left, right = found[0].axes
    assert [line.get_xdata()[0] for line in left.get_lines() if line.get_marker() in "os"] == [0.3126, -1]
    assert [line.get_xdata()[0] for line in right.get_lines() if line.get_marker() in "os"] == [
        0.7134,
        0.1234,
    ]
    assert left.get_xlabel() == "R² (-1: or less)"
    with saved_figures(of_converters) as found:
        of_converters.draw_quality(table(CONVERTERS.replace("-2.5,", "-0.5,")), [])
    assert found[0].axes[0].get_xlabel() == "R²"


def test_a_baseline_by_itself_has_a_figure(table):
    with saved_figures(of_fusion) as found:
        of_fusion.draw_fusion(table("\n".join(FUSION.splitlines()[:2]) + "\n"), [])
    assert found[0].axes[0].get_xlabel() == "gain over alone (60.1%), points of top-1 accuracy"


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
        "vidkd.methods.fusion.figures:draw_fusion",
        FUSION,
        {"<all>", "random", "62.3%", "60.0%", "differs (p < 0.05)", "not told apart"},
    ),
]


@pytest.mark.parametrize(("draw", "text", "said"), SCRIPTS, ids=["tfd", "converters", "fusion"])
def test_the_scripts(draw, text, said, table, tmp_path):
    svg = assert_draws_the_same_twice(draw, tmp_path, table(text), {"table.csv"})
    found = set(words(svg))
    assert said <= found
    assert "alone" not in found, "the baseline is a line"
