"""Sections and figures of converters and fusion heads: every number is one of a table."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from tests.report.test_page import ANY, EXCLUDED, TFD, Outside, cells
from vidkd.report.figures import draw_converters, draw_fusion, draw_tfd
from workflow_scripts import build_report
from workflow_scripts import draw_converters as draw_converters_script
from workflow_scripts import draw_fusion as draw_fusion_script

CONVERTERS = """converter,teacher,split,seeds,clips,r2,r2_std,r2_mean_feature,cosine,cosine_std,\
cosine_mean_feature,cka,cka_std,probe_top1,probe_top1_std,params
linear,vivit,test,2,600,0.3126,0.0114,-0.0021,0.7134,0.0012,0.5512,,,50.25,1.25,4160
random,vivit,test,2,600,-2.5,0.02,-0.0021,0.1234,0.0012,0.5512,,,9.0,1.0,4160
linear,vivit,val,2,300,0.3321,0.0114,-0.0011,0.7234,0.0012,0.5412,,,51.25,1.25,4160
random,vivit,val,2,300,-2.4,0.02,-0.0011,0.1334,0.0012,0.5412,,,8.0,1.0,4160
"""
FUSION = """variant,inputs,seeds,clips,top1,top1_std,low,high,clips_compared,\
delta_vs_student,delta_vs_student_std,delta_low,delta_high,p_vs_student,p_holm,gap_closed,gap_low,\
gap_high,params,gate_vivit
alone,vjepa2,2,600,60.1,0.5,56.1,64.0,600,,,,,,,,,,25000,
<all>,vjepa2 + linear(vivit),\
2,600,62.3,0.6,58.2,66.1,600,2.25,0.25,0.5,4.125,0.0123,0.0246,14.75,3,25,61000,0.417
random,vjepa2 + random(vivit),2,600,60.0,0.6,56.0,64.1,600,-0.1,0.75,-1.1,1.4,0.81,0.81,-1,-8,10,61000,0.1
"""
MODES = """variant,seed,clips,student_dtype,max_logit_difference,tolerance,same_predictions,agree
all,0,600,float32,2.34e-07,1e-05,600,True
"""
LATENCY = """part,params,ms,ms_low,ms_high,relative
student,120000,4.125,4.001,4.251,1.000
all teachers,360000,14.000,13.500,14.500,3.394
"""
STUDENT = """variant,teacher_view,train_clips,labelled_clips,seeds,clips,top1,top1_std,low,high,delta,\
delta_std,delta_low,delta_high,p,p_holm,top5,f1,f1_std,agreement,cosine,params,gflops,ms_1,ms_2
ce,none,192,192,2,600,61.25,0.5,57.2,65.1,,,,,,,,58.5,0.25,57.5,0.01,636205,0.0352,14.06,12.54
<kd>,online,1920,192,2,600,65.75,0.5,61.8,69.4,4.5,0.25,1.3,7.5,0.0082,0.0082,,62.5,0.25,61.5,0.0252,636205,0.0352,13.84,12.26
teacher,itself,192,192,1,600,66.0,,62.1,69.6,,,,,,,,64.75,,100,1,120836,0.0245,5.59,3.68
"""
TEACHERS = """teacher,label,head,used,fitted_on,val_top1,val_largest_class,test_top1,test_largest_class,\
margin,gate,reason
clip,texture,probe,False,192,68.3,27.2,65.5,26.3,10,True,
clip,texture,average,True,192,69.4,27.2,66.0,26.3,10,True,
clip,motion,average,True,192,13.3,8.3,10.5,8.3,10,False,its validation top-1 is 13.3% <and> no more
"""
TABLES = {"student.csv": STUDENT, "teachers.csv": TEACHERS}
TABLES |= {"converters.csv": CONVERTERS, "fusion.csv": FUSION, "modes.csv": MODES, "latency.csv": LATENCY}


@pytest.fixture
def build(tmp_path):
    """Builds the page as the rule does, with these tables of TABLES."""
    for name, text in {"tfd.csv": TFD, "any.csv": ANY, "excluded.csv": EXCLUDED, **TABLES}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "tfd.csv.provenance.json").write_text("{}")
    draw_tfd(tmp_path / "any.csv", [tmp_path / "tfd.svg"])
    draw_converters(tmp_path / "converters.csv", [tmp_path / "converters.svg"])
    draw_fusion(tmp_path / "fusion.csv", [tmp_path / "fusion.svg"])
    run = {"variant": "tsm", "seed": 1, "n_clips": 37, "result_gate": {"passed": True, "reason": ""}}
    (tmp_path / "m.json").write_text(json.dumps(run))

    def page(*names, metrics=("m.json",), more=()):
        files = {"tfd": "tfd.csv", "any-frame": "any.csv", "figure": "tfd.svg", "excluded": "excluded.csv"}
        for name in names:
            files[name.replace(".", "-").removesuffix("-csv").replace("-svg", "-figure")] = name
        options = [f"--{option}={tmp_path / name}" for option, name in files.items()]
        page = [f"--page={tmp_path / 'page.html'}", *(str(tmp_path / name) for name in metrics)]
        done = CliRunner().invoke(build_report.main, [*options, *more, *page])
        assert done.exit_code == 0, done.output
        return (tmp_path / "page.html").read_text()

    page.folder = tmp_path
    return page


def plain(text):
    """What a reader sees of it."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", text))


def words(svg):
    return {element.text for element in ElementTree.parse(svg).iter() if element.text}


def test_without_converters_there_are_no_sections_of_them(build):
    text = build()
    assert "Converters" not in text
    assert "Fusion" not in text
    assert "Video mode" not in text
    assert text.count("<svg") == 1


def test_converters_have_a_table_a_figure_and_validation_apart(build):
    text = build("converters.csv", "converters.svg")
    section = text[text.index("<h2>Converters") : text.index("<h2>Provenance")]
    test, val = section.split("<details>")
    assert cells(test) == [
        "linear", "vivit", "2", "600", "0.313 ± 0.011", "-0.002", "0.713 ± 0.001", "0.551", "50.2 ± 1.2",
        "4,160",
        "random", "vivit", "2", "600", "-2.500 ± 0.020", "-0.002", "0.123 ± 0.001", "0.551", "9.0 ± 1.0",
        "4,160",
    ]  # fmt: skip
    assert cells(val)[:5] == ["linear", "vivit", "2", "300", "0.332 ± 0.011"]
    assert "cka</th>" not in section, "a column without a value"
    assert test.count("<svg") == 1
    assert text.index("Every frame count") < text.index("<h2>Converters")


def test_fusion_says_what_differs_from_the_baseline(build):
    text = build("fusion.csv", "fusion.svg")
    section = text[text.index("<h2>Fusion") : text.index("<h2>Provenance")]
    assert cells(section) == [
        "alone", "vjepa2", "2", "600", "60.1 ± 0.5", "56.1", "64.0", "600", *["–"] * 8, "25,000", "–",
        "&lt;all&gt;", "vjepa2 + linear(vivit)", "2", "600", "62.3 ± 0.6", "58.2", "66.1", "600",
        "2.2 ± 0.2", "0.5", "4.1", "0.0123", "0.0246", "14.8", "3.0", "25.0", "61,000", "0.42",
        "random", "vjepa2 + random(vivit)", "2", "600", "60.0 ± 0.6", "56.0", "64.1", "600", "-0.1 ± 0.8",
        "-1.1", "1.4", "0.8100", "0.8100", "-1.0", "-8.0", "10.0", "61,000", "0.10",
    ]  # fmt: skip
    told = plain(section)
    assert "1 of 2 variants differ from alone (p_holm below 0.05)" in told
    assert "&lt;all&gt; +2.2 (+0.5 to +4.1)." in told
    assert "Video mode and cached mode" not in text


def test_where_nothing_differs_the_page_says_so(build):
    (build.folder / "fusion.csv").write_text(FUSION.replace("0.0123,0.0246", "0.0323,0.0646"))
    assert "None of 2 variants differs from alone" in plain(build("fusion.csv"))
    assert build("fusion.csv").count("<svg") == 1


def test_modes_are_told_in_words(build):
    text = build("fusion.csv", "modes.csv", "latency.csv")
    sentence = (
        "of all, seed 0, agree: on 600 test videos no logit from the frames differs by more than 2.3e-07 "
        "from that of float32 features (tolerance 1e-05), and 600 of them get the same class."
    )
    assert sentence in plain(text)
    assert 'class="alarm"' not in text
    assert cells(text)[-12:] == [
        "student", "120,000", "4.12", "4.00", "4.25", "1.00", "all teachers", "360,000", "14.00", "13.50",
        "14.50", "3.39",
    ]  # fmt: skip
    parser = Outside()
    parser.feed(text)
    assert parser.links == []


def test_modes_that_do_not_agree_are_an_alarm(build):
    (build.folder / "modes.csv").write_text(MODES.replace("True", "False").replace("2.34e-07", "1.5"))
    text = build("fusion.csv", "modes.csv")
    assert "all, seed 0, do not agree" in plain(text)
    assert '<p class="alarm" role="alert">Video mode' in text


def test_gates_of_converters_and_fusion_heads_come_first(build):
    gate = {"passed": False, "reason": "converted features are the same for every clip"}
    run = {"variant": "linear.vivit", "seed": 3, "n_clips": 37, "result_gate": gate}
    (build.folder / "c.json").write_text(json.dumps(run))
    text = build("converters.csv", metrics=("m.json", "c.json"))
    assert "<li>linear.vivit, seed 3: converted features are the same for every clip</li>" in text


def test_drawings_do_not_share_names(build):
    text = build("converters.csv", "converters.svg", "fusion.csv", "fusion.svg")
    names = re.findall(r'\bid="([^"]+)"', text)
    assert len(names) == len(set(names)) > 50
    used = re.findall(r'(?:href="#|url\(#)([^")]+)', text)
    assert used
    assert set(used) <= set(names)


def test_inputs_of_the_page_are_in_its_provenance(build):
    build(*TABLES, "converters.svg", "fusion.svg")
    about = json.loads((build.folder / "page.html.provenance.json").read_text())
    assert {name for name in TABLES} <= {str(path).rpartition("/")[2] for path in about["inputs"]}


def test_the_figure_of_converters(build, tmp_path):
    found = words(build.folder / "converters.svg")
    assert {"linear", "random", "mean feature", "vivit", "R² (-1: or less)", "cosine"} <= found
    (build.folder / "converters.csv").write_text(CONVERTERS.replace("-2.5,", "-0.5,"))
    figures = [f"--figure={tmp_path / f'q.{kind}'}" for kind in ("svg", "png")]
    options = [f"--table={build.folder / 'converters.csv'}", *figures]
    assert CliRunner().invoke(draw_converters_script.main, options).exit_code == 0
    assert "R²" in words(tmp_path / "q.svg")
    assert (tmp_path / "q.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "q.png.provenance.json").is_file()


def test_the_figure_of_fusion_heads(build, tmp_path):
    svg = (build.folder / "fusion.svg").read_bytes()
    found = words(build.folder / "fusion.svg")
    assert {"<all>", "random", "62.3%", "60.0%", "differs (p < 0.05)", "not told apart"} <= found
    assert "gain over alone (60.1%), points of top-1 accuracy" in found
    assert "alone" not in found
    options = [f"--table={build.folder / 'fusion.csv'}", f"--figure={tmp_path / 'again.svg'}"]
    assert CliRunner().invoke(draw_fusion_script.main, options).exit_code == 0
    assert (tmp_path / "again.svg").read_bytes() == svg


def test_a_baseline_by_itself_has_a_figure(tmp_path):
    (tmp_path / "fusion.csv").write_text("\n".join(FUSION.splitlines()[:2]) + "\n")
    draw_fusion(tmp_path / "fusion.csv", [tmp_path / "fusion.svg"])
    assert "gain over alone (60.1%), points of top-1 accuracy" in words(tmp_path / "fusion.svg")


def test_students_stand_beside_their_teacher_with_what_differs(build):
    text = build("student.csv", "teachers.csv")
    section = text[text.index("<h2>Students of a CLIP teacher") : text.index("<h2>Provenance")]
    found = cells(section)
    assert found[:10] == ["clip", "texture", "probe", "no", "192", "68.3", "27.2", "65.5", "26.3", "10"]
    assert "&lt;kd&gt;" in found
    row = found[found.index("&lt;kd&gt;") :]
    assert row[:6] == ["&lt;kd&gt;", "online", "1,920", "192", "2", "600"]
    assert {"65.8 ± 0.5", "4.5 ± 0.2", "0.0082", "0.025", "636,205", "13.84"} <= set(row)
    assert "1 of 1 variants differ from ce (p_holm below 0.05)" in plain(section)
    assert "top5" not in section, "a column without a value"


def test_what_the_teacher_gate_refuses_is_said_in_words(build):
    text = build("teachers.csv")
    said = "As a teacher of motion, clip is refused by the teacher gate: its validation top-1 is 13.3%"
    assert said in plain(text)
    assert "&lt;and&gt;" in text
    assert "As a teacher of texture" not in plain(text)
    assert "variants differ from" not in text


def test_figures_of_students_have_captions(build):
    for name in ("curves", "confusion", "attention"):
        (build.folder / f"student_{name}.svg").write_text('<?xml version="1.0"?><svg id="a"></svg>')
    names = [f"student_{name}.svg" for name in ("curves", "confusion", "attention")]
    options = [f"--student-{name.split('_')[1].removesuffix('.svg')}={build.folder / name}" for name in names]
    text = build("student.csv", "teachers.csv", more=options)
    assert text.count("<figcaption>") == 4
    assert 'id="student_curves-a"' in text
