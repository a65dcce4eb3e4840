from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from vidkd.config.settings import ReportSettings
from vidkd.report.figures import draw_tfd
from vidkd.report.page import Sections, build_page
from workflow_scripts import show_tables

TFD = """variant,seeds,acc_4f,acc_4f_std,tfd_gap,tfd_gap_std,params,gflops_4f
tsm,2,40.0,2.5,50.0,1.0,459100,0.1
<b>odd</b>,1,90.25,,3.0,,472252,0.123
"""
EXCLUDED = "video_id,path,reason,detail\n"
ANY = "variant,frames,acc,acc_std,seeds\ntsm,1,20,1,2\ntsm,2,40,1,2\nffn,1,80,,1\nffn,2,85,,1\n"


class Outside(HTMLParser):
    """Collects what a page would fetch."""

    def __init__(self):
        super().__init__()
        self.links = []

    def handle_starttag(self, tag, attrs):
        wanted = {"src", "href", "xlink:href"}
        self.links += [v for name, v in attrs if name in wanted and v and not v.startswith(("#", "data:"))]


@pytest.fixture
def page(tmp_path):
    for name, text in {"tfd.csv": TFD, "any.csv": ANY, "excluded.csv": EXCLUDED}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "tfd.csv.provenance.json").write_text(json.dumps({"git": {"commit": "abc123"}}))
    draw_tfd(tmp_path / "any.csv", [tmp_path / "tfd.svg", tmp_path / "tfd.png"])
    run = {"variant": "tsm", "seed": 1, "n_clips": 37, "result_gate": {"passed": True, "reason": ""}}
    (tmp_path / "m.json").write_text(json.dumps(run))

    def build(**more):
        inputs = (tmp_path / name for name in ("tfd.csv", "any.csv", "tfd.svg", "excluded.csv"))
        settings = ReportSettings(title="A & B")
        build_page(*inputs, [tmp_path / "m.json"], tmp_path / "page.html", settings, Sections(**more))
        return (tmp_path / "page.html").read_text()

    build.folder = tmp_path
    return build


def cells(text):
    return re.findall(r"<td>(.*?)</td>", text)


def test_number_of_test_videos_is_told(page):
    assert "on the 37 videos of the test split" in page()


def test_numbers_are_the_tables(page):
    found = cells(page())
    assert found[:6] == ["tsm", "2", "40.0 ± 2.5", "50.0 ± 1.0", "459,100", "0.100"]
    assert found[6:12] == ["&lt;b&gt;odd&lt;/b&gt;", "1", "90.2", "3.0", "472,252", "0.123"]
    assert found[12:] == ["tsm", "20.0", "40.0", "ffn", "80.0", "85.0"]


@pytest.mark.parametrize("name", ["nan", "007", "null", "1e3"])
def test_a_variant_may_be_called_like_a_number(page, name):
    for file, text in {"tfd.csv": TFD, "any.csv": ANY}.items():
        (page.folder / file).write_text(text.replace("tsm", name))
    found = cells(page())
    assert found[:3] == [name, "2", "40.0 ± 2.5"]
    assert found[12:15] == [name, "20.0", "40.0"]
    draw_tfd(page.folder / "any.csv", [page.folder / "named.svg"])
    words = [element.text for element in ElementTree.parse(page.folder / "named.svg").iter()]
    assert name in words
    shown = CliRunner().invoke(show_tables.main, [str(page.folder / "tfd.csv")])
    assert re.search(rf"^\s*{name} ", shown.output, re.MULTILINE)


def test_nothing_leaves_the_page_and_names_are_escaped(page):
    text = page()
    parser = Outside()
    parser.feed(text)
    assert parser.links == []
    assert "<b>odd" not in text
    assert "<title>A &amp; B</title>" in text
    assert "abc123" in text


def test_gates_and_excluded_videos_come_first(page):
    assert "No video was excluded" in page()
    assert "failed their gate" not in page()
    (page.folder / "excluded.csv").write_text(EXCLUDED + "v<1>,v1.mp4,empty,the file has no bytes\n")
    gate = {"passed": False, "reason": "one class <only>"}
    run = {"variant": "tsm", "seed": 1, "n_clips": 37, "result_gate": gate}
    (page.folder / "m.json").write_text(json.dumps(run))
    text = page()
    assert "tsm, seed 1: one class &lt;only&gt;" in text
    assert "Excluded videos: 1 empty" in text
    assert cells(text)[:4] == ["v&lt;1&gt;", "v1.mp4", "empty", "the file has no bytes"]
    assert text.index("one class") < text.index("Frame Flexible Network")


def test_heads_on_frozen_features_have_their_table(page):
    assert "Heads on the features" not in page()
    probes = page.folder / "probes.csv"
    probes.write_text(
        "backbone,head,label,seeds,top1,top1_std,above_chance,params,pairs\n"
        "clip,linear,shape,1,91.25,,True,1926,\nvivit,attentive,motion,2,80.0,1.5,False,12345,96.04\n"
    )
    text = page(probes=probes)
    assert text.index("Heads on the features") > text.index("Every frame count")
    assert cells(text)[-16:] == [
        "clip", "linear", "shape", "1", "91.2", "yes", "1,926", "–",
        "vivit", "attentive", "motion", "2", "80.0 ± 1.5", "no", "12,345", "96.0",
    ]  # fmt: skip


def test_many_excluded_videos_are_counted_and_the_first_are_shown(page):
    rows = [f"v{n},v{n}.mp4,{'missing' if n % 3 else 'truncated'},NA\n" for n in range(90)]
    (page.folder / "excluded.csv").write_text(EXCLUDED + "".join(rows))
    text = page()
    assert "Excluded videos: 60 missing, 30 truncated" in text
    assert re.search(r"The first 50 of\s+90;", text)
    assert cells(text)[49 * 4 : 50 * 4] == ["v49", "v49.mp4", "missing", "NA"]
    assert "v50.mp4" not in text


def test_the_figure_has_a_curve_for_each_variant_and_the_same_bytes_twice(page):
    svg = (page.folder / "tfd.svg").read_bytes()
    words = {element.text for element in ElementTree.fromstring(svg).iter() if element.text}
    assert {"tsm", "ffn", "frames seen at test time", "top-1 accuracy (%)"} <= words
    assert (page.folder / "tfd.png").read_bytes().startswith(b"\x89PNG")
    draw_tfd(page.folder / "any.csv", [page.folder / "again.svg"])
    assert (page.folder / "again.svg").read_bytes() == svg
