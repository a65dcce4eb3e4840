"""The page: every number is one of a table, what must be known is at the top, nothing leaves it."""

from __future__ import annotations

import csv
import json
import math
import os
import re
import shutil
from html.parser import HTMLParser

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

from tests.report.drawn import given
from tests.report.results import GIVEN, SURE, build_page, predictions, tabulate, write_results, write_run
from vidkd.methods.ffn.figures import draw_tfd
from vidkd.report.sections import sections
from workflow_scripts import preview_report, show_tables


class Page(HTMLParser):
    """What a page has: texts of its table cells, their values, links, names, and visible words.

    Attributes:
        tables: by name, rows of (text, value), the heading first; its values are keys of the csv.
        links: what its elements point to outside of it.
        ids: names of its elements.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[tuple[str, str]]]] = {}
        self.links: list[str] = []
        self.ids: list[str] = []
        self._words: list[str] = []
        self._cell: str | None = None
        self._skipped = 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids += [given["id"]] if "id" in given else []
        outside = (given.get(name) for name in ("src", "href", "xlink:href"))
        self.links += [link for link in outside if link and not link.startswith(("#", "data:"))]
        self._skipped += tag in ("style", "script", "svg")
        if tag == "table":
            self._rows = self.tables.setdefault(given["data-table"], [])
        if tag == "tr":
            self._rows.append([])
        if tag in ("td", "th"):
            self._cell, self._value = "", given.get("data-value", given.get("data-key"))

    def handle_endtag(self, tag):
        self._skipped -= tag in ("style", "script", "svg")
        if tag in ("td", "th"):
            self._rows[-1].append((self._cell, self._value))
            self._cell = None

    def handle_data(self, data):
        if self._cell is not None:
            self._cell += data
        if not self._skipped:
            self._words.append(data)

    @property
    def words(self) -> str:
        return re.sub(r"\s+", " ", "".join(self._words))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A results folder of every method, its tables, one figure, and the page."""
    root = tmp_path_factory.mktemp("results")
    tabulate(root, write_results(root))
    figures = [root / f"report/figures/tfd.{kind}" for kind in ("svg", "png")]
    draw_tfd(given({"table": root / "given" / "any_frame.csv"}), figures)
    build_page(root, "--title", "A & B")
    return root


@pytest.fixture(scope="module")
def page(finished):
    return Page((finished / "report/index.html").read_text())


@pytest.fixture
def root(finished, tmp_path):
    """A copy of it that a test may change."""
    return shutil.copytree(finished, tmp_path / "results")


def tables_of(root):
    return {file.stem: file for file in (root / "report/tables").glob("*.csv")}


def again(root, name, *changes):
    """The page after changes, each from and to, of one of the tables that the methods gave."""
    text = GIVEN[name]
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (root / "given" / f"{name}.csv").write_text(text)
    tabulate(root, sorted(root.glob("*/*/seed*/metrics.json")))
    return Page(build_page(root))


NUMBER = re.compile(r"-?\d+(\.\d+)?(e-?\d+)?")


def same(one, other):
    """Whether two values of a csv are the same to ten digits."""
    if one == other:
        return True
    return bool(NUMBER.fullmatch(one) and NUMBER.fullmatch(other)) and math.isclose(
        float(one), float(other), rel_tol=1e-9
    )


def compare(text, *values):
    """Hold what is shown of a value and its deviation against the csv; returns how many there were."""
    parts = [part.rstrip("*").replace(",", "") for part in text.split(" ± ")]
    for part, value in zip(parts, values, strict=False):
        digits = len(part.partition(".")[2]) if "e" not in part else 8
        assert float(part) == pytest.approx(float(value), abs=0.51 * 10**-digits)
    return len(parts)


def test_every_number_of_every_table_is_in_its_csv(finished, page):
    found = 0
    for name, (head, *rows) in page.tables.items():
        with tables_of(finished)[name].open() as stream:
            source = list(csv.DictReader(stream))
        if name == "converters":
            source = [row for row in source if row["split"] == "test"]
        assert len(rows) == min(len(source), 200), name
        given = list(csv.DictReader(GIVEN.get(name, "").splitlines()))
        if name != "any_frame":
            for made, own in zip(source, given, strict=False):
                assert all(same(made[key], value) for key, value in own.items()), name
        for row, values in zip(rows, source, strict=False):
            for (text, value), (_, key) in zip(row, head, strict=True):
                assert value == values[key] or float(value) == float(values[key]), (name, key)
                if NUMBER.fullmatch(values[key]) and " to " not in text:
                    found += compare(text, values[key], values.get(f"{key}_std", ""))
    assert found > 300
    assert {row[0][0] for row in page.tables["summary"][1:]} == set(SURE)
    # No published result is of these videos.
    assert set(page.tables) == set(tables_of(finished)) - {"references"}


def test_every_table_can_be_had_and_every_link_leads_to_a_file_beside_the_page(finished, page):
    assert all((finished / "report" / link).is_file() for link in page.links)
    for name in page.tables:
        assert {f"tables/{name}.{kind}" for kind in ("csv", "md", "tex")} <= set(page.links)
    assert {"figures/tfd.svg", "figures/tfd.png"} <= set(page.links)


def test_nothing_leaves_the_page(finished):
    text = (finished / "report/index.html").read_text()
    assert "default-src 'none'" in text
    own = re.sub(
        r'xmlns(:\w+)?="[^"]*"|<!--.*?-->|<metadata>.*?</metadata>|<!DOCTYPE[^>]*>', "", text, flags=re.S
    )
    assert not re.findall(r"https?://[^\s\"<]*", own)


def test_names_are_text(page, finished):
    text = (finished / "report/index.html").read_text()
    assert "<title>A &amp; B</title>" in text
    assert "<b>orbit</b>" not in text
    assert "<b>orbit</b>" in {row[2][0] for row in page.tables["per_class"]}
    assert len(page.ids) == len(set(page.ids))


def test_drawings_do_not_share_names(root):
    figures = root / "report/figures"
    shutil.copy(figures / "tfd.svg", figures / "fusion.svg")
    text = build_page(root)
    ids = Page(text).ids
    assert len(ids) == len(set(ids)) > 50
    used = set(re.findall(r'(?:xlink:href="#|url\(#)([^")]+)', text))
    assert used
    assert used <= set(ids)
    assert text.count('role="img"') == 2


def test_a_figure_is_shown_with_its_caption_or_its_name(root):
    text = build_page(root, "--captions", json.dumps({"tfd": "Accuracy <over> frames."}))
    assert text.count("Accuracy &lt;over&gt; frames.") == 2, "below it, and for readers"
    assert 'aria-label="tfd"' in build_page(root)


def test_what_must_be_known_is_at_the_top(page):
    top = page.words.partition("Summary of all methods")[0]
    assert "Excluded videos: 1 empty" in top
    assert "As a teacher of motion, clip is refused by the teacher gate: its validation top-1 is 13.3%" in top
    assert "The assistant amd is refused by the gate: its validation top-1 is 9.1%" in top
    assert "failed their gate" not in top
    assert "do not agree" not in top
    assert "As a teacher of texture" not in top


def test_a_run_of_one_class_is_told_at_the_top(root):
    folder = root / "student" / "ce"
    shutil.rmtree(folder / "seed1")
    stuck = predictions(7, 1.0).assign(pred=2)
    write_run(folder / "seed1", stuck, 1, {"lr": 0.1})
    tabulate(root, sorted(root.glob("*/*/seed*/metrics.json")))
    page = Page(build_page(root))
    top = page.words.partition("Summary of all methods")[0]
    assert "Runs that failed their gate" in top
    assert "student: ce, seed 1: every clip gets the same class" in top
    table = pd.read_csv(tables_of(root)["summary"]).set_index(["method", "variant"])
    assert not table.loc[("student", "ce")].gate
    assert table.loc[("student", "distilled")].gate


def test_modes_that_do_not_agree_are_told_at_the_top(root):
    page = again(root, "modes", ("True", "False"))
    assert "Video mode and cached mode of all, seed 0, do not agree" in page.words


def test_runs_of_several_commits_are_told(root):
    for number, run in enumerate(sorted(root.glob("student/*/seed*"))):
        about = run / "model.safetensors.provenance.json"
        record = json.loads(about.read_text())
        record["git"] = {"commit": f"{number:040x}", "dirty": number == 0}
        about.write_text(json.dumps(record))
    tabulate(root, sorted(root.glob("student/*/seed*/metrics.json")), ())
    words = Page(build_page(root)).words
    assert "The runs were made by several commits: 0000000000, 0000000000" not in words
    assert "1 runs were made with changes that no commit has" in words


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("fusion", "1 of 2 variants differ from alone (corrected p below 0.05), in points of top-1 accuracy: "
         "<all> 2.2 (0.5 to 4.1)."),
        ("student", "1 of 1 variants differ from ce (corrected p below 0.05)"),
        ("trimodel", "None of 1 variants differs from ce (corrected p below 0.05)"),
    ],
)  # fmt: skip
def test_what_differs_from_the_baseline_is_told_in_words(page, name, told):
    assert told in page.words


def test_where_nothing_differs_the_page_says_so(root):
    page = again(root, "fusion", ("0.0123,0.0246", "0.0323,0.0646"))
    assert "None of 2 variants differs from alone" in page.words


def test_sections_come_in_their_order_and_absent_ones_are_named(finished, page):
    titles = [section.title for section in sections() if section.name != "published"]
    places = [
        page.words.index(f" {title} ", page.words.index("Summary of all methods") - 40)
        for title in titles[1:]
    ]
    assert places == sorted(places)
    assert "Not in this report: Beside published results." in page.words
    assert {section.name for section in sections()} - set(page.ids) == {"published"}


def test_with_ffn_alone_there_is_a_page(tmp_path):
    tabulate(tmp_path, write_results(tmp_path, ("ffn",), (0,)), ("tfd", "any_frame", "excluded"))
    page = Page(build_page(tmp_path))
    assert "Frame Flexible Network" in page.words
    assert "Not in this report: Frozen networks; Converters; Fusion; Students" in page.words
    assert {row[1][0] for row in page.tables["summary"][1:]} == {"ffn", "tsm"}


def test_without_excluded_videos_the_page_says_so(root):
    page = again(root, "excluded", ("v|1,a_b/100%.mp4,empty,the file has no bytes & no name\n", ""))
    assert "No video was excluded." in page.words
    assert "excluded" not in page.tables


def test_many_rows_are_counted_and_the_first_are_shown(root):
    rows = "".join(f"v{n},v{n}.mp4,{'missing' if n % 3 else 'truncated'},NA\n" for n in range(300))
    page = again(root, "excluded", ("v|1,a_b/100%.mp4,empty,the file has no bytes & no name\n", rows))
    assert "Excluded videos: 200 missing, 100 truncated" in page.words
    assert "The first 200 of 300 rows; all are in the csv." in page.words
    assert page.tables["excluded"][200][0][0] == "v199"
    assert page.tables["excluded"][1][3][0] == "NA"


@pytest.mark.parametrize("name", ["nan", "007", "null", "1e3"])
def test_a_variant_may_be_called_like_a_number(root, name):
    page = again(root, "tfd", ("tsm", name))
    assert page.tables["tfd"][1][0] == (name, name)
    shown = CliRunner().invoke(show_tables.main, [str(root / "given/tfd.csv")])
    assert re.search(rf"^\s*{name} ", shown.output, re.MULTILINE)


def test_the_same_results_give_the_same_page(root):
    assert build_page(root) == build_page(root)


def test_what_the_page_is_made_of_is_in_its_provenance(finished):
    about = json.loads((finished / "report/index.html.provenance.json").read_text())
    inputs = {path.rpartition("/")[2] for path in about["inputs"]}
    assert inputs == {"tfd.svg", *(f"{name}.csv" for name in tables_of(finished))}


# ---- what is there so far


@pytest.fixture
def half(tmp_path):
    """A configuration with two students, of whom one is evaluated, and its results."""
    metrics = write_results(tmp_path / "results", ("student",), (0,))
    metrics[1].unlink()
    labels = tmp_path / "results/data/labels"
    labels.mkdir(parents=True)
    shutil.copy(tmp_path / "results/student/classes.json", labels / "motion.json")
    variants = {"ce": {"alpha": 0, "beta": 0, "gamma": 1}, "distilled": {}}
    settings = {
        "results_dir": str(tmp_path / "results"),
        "data": {"adapter": "demo"},
        "backbones": {"clip": {"kind": "clip", "hub": "x/y", "revision": "0" * 40}},
        "student": {"label": "motion", "teacher": {"backbone": "clip"}, "variants": variants},
    }
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(settings))
    return file, tmp_path / "results"


def preview(config, results):
    done = CliRunner().invoke(preview_report.main, [f"--config={config}"])
    assert done.exit_code == 0, done.output
    return Page((results / "report/preview/index.html").read_text())


def test_a_preview_shows_what_is_there_and_says_what_is_missing(half):
    _, results = half
    page = preview(*half)
    top = page.words.partition("Summary of all methods")[0]
    assert f"student: 1 of 2 runs are evaluated; not yet {results}/student/distilled/seed0" in top
    assert f"ffn: 0 of 4 runs are evaluated; not yet {results}/ffn/ffn/seed0" in top
    assert f"{results}/student/student.csv: not made yet; snakemake --cores all" in top
    assert [row[1][0] for row in page.tables["summary"][1:]] == ["ce"]


def test_a_preview_compares_no_variants_of_different_seeds(half):
    config, results = half
    settings = yaml.safe_load(config.read_text()) | {"seeds": [0, 1]}
    config.write_text(yaml.safe_dump(settings))
    for seed in (0, 1):
        folder = results / "student" / "distilled" / f"seed{seed}"
        shutil.rmtree(folder, ignore_errors=True)
        write_run(folder, predictions(seed, 2.0), seed, {"lr": 0.1})
    preview(*half)
    table = pd.read_csv(results / "report/preview/tables/summary.csv").set_index("variant")
    assert table["seeds"].to_dict() == {"ce": 1, "distilled": 2}
    assert "delta" not in table


def test_a_preview_shows_no_figure_that_is_older_than_its_runs(half):
    _, results = half
    figures, table = results / "report/figures", results / "any_frame.csv"
    table.write_text(GIVEN["any_frame"])
    for name in ("curves_student", "confusion_student", "curves_fusion", "clips"):
        draw_tfd(given({"table": table}), [figures / f"{name}.{kind}" for kind in ("svg", "png")])
    old = (results / "student/ce/seed0/metrics.json").stat().st_mtime - 60
    os.utime(figures / "curves_student.svg", (old, old))
    page = preview(*half)
    shown = {name for name in page.ids if name.startswith("figure-")}
    assert shown == {"figure-clips", "figure-confusion_student"}
    told = r"figures that are not drawn yet, or older than their runs: [^.]*curves_student"
    assert re.search(told, page.words)


def test_a_preview_of_nothing_is_refused(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump({"results_dir": str(tmp_path / "none"), "data": {"adapter": "demo"}}))
    done = CliRunner().invoke(preview_report.main, [f"--config={file}"])
    assert done.exit_code != 0
    assert "has no evaluated run of" in done.output
    assert not (tmp_path / "none").exists()
