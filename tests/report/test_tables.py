"""Tables of the report: the same numbers as csv, md and tex, and what is marked in them."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess

import pandas as pd
import pytest

from tests.report.results import BASELINES, CLASSES, CLIPS, SURE, tabulate, write_results
from vidkd.evaluate.specs import Column
from vidkd.report.render import PACKAGES, latex, make_cells, markdown, shown_columns
from vidkd.report.sections import specs

NEEDS_LATEX = pytest.mark.skipif(
    shutil.which("pdflatex") is None, reason="no pdflatex: tests/system_packages.sh installs it"
)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def tables(root):
    return tabulate(root, write_results(root))


def rows_of(table):
    with table.open() as stream:
        return list(csv.DictReader(stream))


def markdown_cells(file):
    """The cells of a Markdown table, without what makes them bold."""
    lines = [line for line in file.read_text().splitlines() if line.startswith("|")]
    split = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    plain = [[re.sub(r"\\(.)", r"\1", cell.strip().replace("**", "")) for cell in row] for row in split]
    return plain[0], plain[2:]


LATEX = {r"\_": "_", r"\&": "&", r"\%": "%", "--": "–", r"$\pm$": "±", r"\textless{}": "<", "$^*$": "*",
         r"\textgreater{}": ">", r"\textbar{}": "|", r"\{": "{", r"\}": "}", "{[}": "[",
         "{]}": "]", "$^2$": "²"}  # fmt: skip


def latex_cells(file):
    body = re.search(r"\\midrule\n(?:\\endhead\n)?(.*?)\n?\\bottomrule", file.read_text(), re.DOTALL)[1]
    rows = []
    for line in filter(None, body.split("\\\\")):
        cells = []
        for cell in re.split(r"(?<!\\)&", line):
            text = re.sub(r"\\textbf\{(.*)\}$", r"\1", cell.strip())
            for special, character in LATEX.items():
                text = text.replace(special, character)
            cells.append(text)
        rows.append(cells)
    return [row for row in rows if row != [""]]


@pytest.mark.parametrize(
    "name", ["summary", "efficiency", "tfd", "per_class", "gates", "excluded", "settings"]
)
def test_markdown_and_latex_have_the_same_cells(tables, name):
    _, cells = markdown_cells(tables / f"{name}.md")
    assert cells == latex_cells(tables / f"{name}.tex")
    assert len(cells) == len(rows_of(tables / f"{name}.csv"))


def test_their_numbers_are_those_of_the_csv(tables):
    """Read back by position, with as many decimals as are shown."""
    head, cells = markdown_cells(tables / "summary.md")
    columns = {column.title: column.key for column in specs()["summary"].columns}
    numbers = 0
    for row, shown in zip(rows_of(tables / "summary.csv"), cells, strict=True):
        for title, text in zip(head, shown, strict=True):
            for key, part in zip((columns[title], f"{columns[title]}_std"), text.split(" ± "), strict=False):
                found = re.match(r"-?[\d,]+(?:\.(\d+))?", part)
                if not found or text in row["variant"]:
                    continue
                value = float(found[0].replace(",", ""))
                assert value == pytest.approx(float(row[key]), abs=0.51 * 10 ** -len(found[1] or ""))
                numbers += 1
    assert numbers > 100


def test_best_is_bold_within_its_method(tables):
    text = (tables / "summary.md").read_text()
    rows = {tuple(line.split(" | ")[:2]): line for line in text.splitlines() if line.startswith("| ")}
    table = pd.read_csv(tables / "summary.csv").set_index(["method", "variant"])
    for method, variants in SURE.items():
        best = max(variants, key=lambda name: table.loc[(method, name)].top1)
        for name in variants:
            line = rows[(f"| {method}", name)]
            bold = f"**{table.loc[(method, name)].top1:.1f} ± {table.loc[(method, name)].top1_std:.1f}**"
            assert (bold in line) == (name == best), (method, name)


def test_the_deviation_that_is_lowest_is_bold(tables):
    text = (tables / "tfd.md").read_text()
    assert "| ffn | 2 | **85.2 ± 1.5** | 90.0 ± 1.0 | 4.8 ± 0.5 | **-1.2** | 472,252 |" in text
    assert "| tsm | 2 | 40.0 ± 2.5 | 90.0 ± 1.0 | 50.0 ± 1.0 | 3.5 | 459,100 | 0.100 |" in text


def test_what_is_told_apart_is_marked_and_seeds_and_clips_are_stated(tables):
    for kind in ("md", "tex"):
        text = (tables / f"summary.{kind}").read_text()
        assert "Seeds: 2. Test clips: 90." in text
        assert "differs from the baseline, corrected p below 0.05" in text
    table = pd.read_csv(tables / "summary.csv").set_index(["method", "variant"])
    _, cells = markdown_cells(tables / "summary.md")
    for row in cells:
        marked = any(cell.endswith("*") for cell in row)
        assert marked == (table.loc[tuple(row[:2])].p_holm < 0.05)


def test_every_file_has_its_provenance(tables):
    files = {file.name for file in tables.iterdir() if not file.name.endswith(".provenance.json")}
    assert {
        f"{name}.{kind}" for name in ("summary", "tfd", "excluded") for kind in ("csv", "md", "tex")
    } <= files
    for name in files:
        about = json.loads((tables / f"{name}.provenance.json").read_text())
        assert about["settings"]["baselines"] == BASELINES
        assert any(path.endswith("predictions.csv") for path in about["inputs"])


def test_the_same_files_give_the_same_bytes(root, tables):
    shown = (file for file in tables.iterdir() if file.suffix in (".csv", ".md", ".tex"))
    before = {file.name: file.read_bytes() for file in shown}
    folders = [root / method / variant for method in SURE for variant in SURE[method]]
    metrics = [path for folder in folders for path in sorted(folder.glob("seed*/metrics.json"))]
    tabulate(root, metrics)
    assert before == {name: (tables / name).read_bytes() for name in before}


def test_settings_that_differ_have_a_row_each(tables):
    rows = [tuple(row.values()) for row in rows_of(tables / "settings.csv") if row["method"] == "student"]
    assert rows == [
        ("student", "loss.alpha", "ce", "0"),
        ("student", "loss.alpha", "distilled", "1"),
        ("student", "lr", "all variants", "0.1"),
    ]


def test_runs_say_what_made_them(tables):
    rows = rows_of(tables / "provenance.csv")
    assert len(rows) == 16
    assert {row["code"] for row in rows} == {"c0dec0dec0"}
    assert all(re.fullmatch(r"[0-9a-f]{10}", row["commit"]) for row in rows)


def compile_latex(parts, folder):
    """Make `all.pdf` of these parts with the packages that the tables ask for."""
    head = rf"\documentclass{{article}}\usepackage{{{','.join(PACKAGES)}}}\begin{{document}}"
    (folder / "all.tex").write_text("\n".join([head, *parts, r"\end{document}"]))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]


@NEEDS_LATEX
def test_latex_compiles(tables, tmp_path):
    files = sorted(tables.glob("*.tex"))
    assert len(files) >= 8
    compile_latex([rf"\input{{{file}}}\clearpage" for file in files], tmp_path)
    assert (tmp_path / "all.pdf").stat().st_size > 10_000


ODD = ["[1] x", "a_b & 50% #1 {x} ~^\\", "$x$", "<script>", "a|b `c`", "日本", "two\nlines", "\x1b[31mred"]


@NEEDS_LATEX
def test_names_cannot_break_latex(tmp_path):
    table = pd.DataFrame({"variant": ODD, "top1": range(len(ODD))})
    columns = shown_columns(table, [])
    text = latex("odd", ODD[0], ODD, columns, make_cells(table, columns))
    compile_latex([text], tmp_path)


def test_names_cannot_break_markdown():
    table = pd.DataFrame({"variant": ODD, "top1": range(len(ODD))})
    columns = shown_columns(table, [])
    text = markdown("odd", [], columns, make_cells(table, columns))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == len(ODD) + 2
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 3 for row in rows)
    assert r"\<script\>" in text


def test_a_long_table_goes_over_pages():
    table = pd.DataFrame({"class": [f"c{n}" for n in range(100)], "f1": 1.0})
    columns = shown_columns(table, [])
    text = latex("classes", "Classes", [], columns, make_cells(table, columns))
    assert text.startswith(r"\begin{longtable}{lr}")
    assert text.count("\\\\\n") == 102
    assert "&".join(["c99 ", " 1.0"]) in text


def test_a_pattern_stands_for_every_column_that_it_matches():
    table = pd.DataFrame({"acc_4f": [1.0], "acc_16f": [2.0], "acc_4f_std": [0.5], "empty": [None]})
    found = shown_columns(table, [Column(r"acc_(\d+)f", "{} frames"), Column("empty", "none")])
    assert [(column.key, column.title) for column in found] == [
        ("acc_4f", "4 frames"), ("acc_16f", "16 frames")
    ]  # fmt: skip
    (row,) = make_cells(table, found)
    assert [cell.text for cell in row] == ["1.0 ± 0.5", "2.0"]


def test_ties_are_all_best_and_none_is_where_all_are_the_same():
    table = pd.DataFrame({"g": ["a", "a", "b"], "x": [2.0, 2.0, 1.0]})
    column = Column("x", "x", best="high")
    assert [row[0].best for row in make_cells(table, [column], "g")] == [False, False, False]
    assert [row[0].best for row in make_cells(table, [column])] == [True, True, False]


def test_class_names_are_as_they_are(tables):
    assert [row["class"] for row in rows_of(tables / "per_class.csv")[: len(CLASSES)]] == CLASSES
    assert sum(int(row["clips"]) for row in rows_of(tables / "per_class.csv")) == 8 * CLIPS
