"""Names that somebody else chose, of classes and files, through every place that shows or hands them on."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import sync_playwright

from tests.data.videos import write_video
from tests.report import results
from tests.report.drawn import given, run, words
from tests.workflow.conftest import Project, copy_project
from tests.workflow.test_bad_input import CONFIG, SMALL
from vidkd.config.load import load_settings
from vidkd.errors import UserError
from vidkd.report.compare import compare

CHROMIUM = shutil.which("chromium")

LABELS = [
    "a\"; touch MARK; #$(touch MARK)`touch MARK`'", "<script>alert(1)</script>", r"\input{/etc/passwd}",
    "../../x", "{wildcards.split} {0..9}", "$x_{1$ %s | &amp;",
]  # fmt: skip
FILES = ["$(touch MARK)", "a;touch MARK;'\"", "-rf", "{split} {0..3}", "%s<b>&amp;", "x|y"]


@pytest.fixture
def umask() -> Iterator[None]:
    """Nothing for others, no writing for the group."""
    before = os.umask(0o027)
    yield
    os.umask(before)


# ---- the workflow


def write_data_set(folder: Path) -> None:
    """Real videos of every class under names like these, listed as csv."""
    content = write_video(folder / "video.mp4", 16).read_bytes()
    for split, count in (("train", 2), ("val", 1), ("test", 1)):
        (folder / split).mkdir()
        rows = [
            (f"{split}/{FILES[k]} {number}.mp4", label)
            for number in range(count)
            for k, label in enumerate(LABELS)
        ]
        for path, _ in rows:
            (folder / path).write_bytes(content)
        with (folder / f"{split}.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows([("path", "label"), *rows])


@pytest.mark.slow
def test_the_workflow_runs_no_name(tmp_path, umask):
    """From the list of videos to a drawing of their frames; the files have the modes of the umask."""
    project = Project(copy_project(tmp_path / "project").root)
    write_data_set(project.root / "videos")
    text = SMALL.replace("{adapter: demo,", "{adapter: csv, root: videos, annotations: .,")
    (project.root / CONFIG).write_text(text)
    targets = ["results/data/excluded.csv", "results/report/figures/clips.svg"]
    done = project.snakemake(*targets, "--cores", "2", "--configfile", CONFIG)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not list(project.root.rglob("MARK*"))
    found = project.root / "results"
    assert json.loads((found / "data/classes.json").read_text()) == sorted(LABELS)
    manifest = pd.read_csv(found / "data/manifest.csv")
    assert set(manifest["label"]) == set(LABELS)
    assert set(manifest["status"]) == {"ok"}
    svg = found / "report/figures/clips.svg"
    assert " ".join(words(svg)).count("<script>alert(1)</script>") >= 1
    assert "<script" not in svg.read_text()
    files = [path for path in found.rglob("*") if path.is_file()]
    assert len(files) > 20
    assert [path for path in files if path.suffix == ".tmp"] == []
    wrong = {str(path): oct(path.stat().st_mode) for path in files if path.stat().st_mode & 0o777 != 0o640}
    assert wrong == {}


# ---- the report


class Elements(HTMLParser):
    """The elements of a page, and what its own attributes would run."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.handlers: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.handlers += [
            name for name, value in attrs if name.startswith("on") or "javascript:" in (value or "")
        ]


@pytest.fixture
def report(tmp_path, monkeypatch) -> Path:
    """Tables, figures of classes and page, by the scripts of their rules, of classes with these names."""
    monkeypatch.setattr(results, "CLASSES", LABELS)
    metrics = results.write_results(tmp_path, ("student",))
    (tmp_path / "given").mkdir()
    name = "<img src=x onerror=alert(1)>"
    (tmp_path / "given/excluded.csv").write_text(f"video_id,path,reason,detail\n{name},{name},empty,{name}\n")
    tables = results.tabulate(tmp_path, metrics, ("excluded",))
    figures = tmp_path / "report/figures"
    predictions = metrics[0].with_name("predictions.csv")
    classes = str(tmp_path / "student/classes.json")
    for draw, name, inputs in (
        ("per_class:draw_per_class", "per_class", given({"table": tables / "per_class.csv"})),
        ("confusion:draw_confusion", "confusion_student", given({"ce": predictions}, classes=classes)),
    ):
        done = run(f"vidkd.report.{draw}", inputs, *(figures / f"{name}.{kind}" for kind in ("svg", "png")))
        assert done.exit_code == 0, done.output
    return tmp_path


def test_the_report_shows_names_as_text(report):
    text = results.build_page(report)
    page = Elements()
    page.feed(text)
    assert page.tags.count("script") == 1
    assert "img" not in page.tags
    assert page.handlers == []
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 3
    for file in (report / "report/figures").glob("*.svg"):
        assert "<script" not in file.read_text()
        assert any("<script>alert(1)" in word for word in words(file)), file
    latex = (report / "report/tables/per_class.tex").read_text()
    assert r"\input" not in latex
    assert r"\textbackslash{}input\{/etc/passwd\}" in latex
    assert r"\$x\_\{1\$ \%s \textbar{} \&amp;" in latex
    markdown = (report / "report/tables/per_class.md").read_text()
    assert r"\<script\>" in markdown
    assert not re.search(r"(?<!\\)<", markdown)
    assert r"\<img" in (report / "report/tables/excluded.md").read_text()


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium: tests/system_packages.sh installs it")
def test_the_page_runs_no_script_of_a_figure(report):
    """A figure of a results folder that somebody else made is drawn, and nothing more."""
    figure = report / "report/figures/per_class.svg"
    hostile = '<script>document.title = "MARK"</script><image href="x" onerror="document.title = \'MARK\'"/>'
    figure.write_text(figure.read_text().replace("</svg>", f"{hostile}</svg>"))
    figure.with_name("per_class.svg.provenance.json").unlink(missing_ok=True)
    results.build_page(report)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.goto(f"file://{report}/report/index.html")
        page.wait_for_timeout(300)
        assert page.locator("svg script").count() == 1, "it is there, and did not run"
        assert page.title() == "vidkd report"
        page.locator("table[data-table=summary] th button").first.click()
        assert page.locator("table[data-table=summary] th[aria-sort=descending]").count() == 1
        browser.close()


def test_a_comparison_obeys_no_name(tmp_path):
    for name, value in (("one", 1.0), ("other", 2.0)):
        folder = tmp_path / name
        metrics = results.write_results(folder, ("student",), (0,))
        rows = [f"\x1b]0;MARK\x07<script>|\x9b31m,{value}"]
        (folder / "student/table.csv").write_text("\n".join(["class,recall", *rows]) + "\n")
        assert metrics
    page = compare(tmp_path / "one", tmp_path / "other")
    assert "script" in page
    assert "<script" not in page.replace(r"\<script", "")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", page)


# ---- configurations


@pytest.mark.parametrize(
    "value",
    [
        "!!python/object/apply:os.mkdir [{}]", "!!python/object/new:os.mkdir [{}]",
        "!!python/name:os.mkdir", "!!python/module:os", "!!python/object:vidkd.errors.UserError {{}}",
    ],
)  # fmt: skip
def test_yaml_is_data(tmp_path, mark, value):
    file = tmp_path / "config.yaml"
    file.write_text(f"results_dir: {value.format(mark)}\n")
    with pytest.raises(
        UserError, match=r"config\.yaml, line 1: not valid YAML: could not determine a constr"
    ):
        load_settings(file)


def test_yaml_is_data_in_snakemake_too(tmp_path, mark):
    project = Project(copy_project(tmp_path / "project").root)
    (project.root / CONFIG).write_text(f"results_dir: !!python/object/apply:os.mkdir [{mark}]\n")
    done = project.dry_run("--configfile", CONFIG)
    assert done.returncode != 0
    assert "Config file is not valid JSON or YAML" in done.stdout + done.stderr


@pytest.mark.parametrize(
    "name", ["x; touch MARK", "$(touch MARK)", "a b", "x\n", "{split}", "../x/$HOME", "-rf|"]
)
def test_a_results_folder_is_one_word(name):
    with pytest.raises(UserError, match=r"results_dir: found .*; allowed: letters, digits"):
        load_settings({"results_dir": name})
