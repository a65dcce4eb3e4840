"""The picture of the rules is that of Snakemake's own graph, and is drawn anew when that changes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.workflow.conftest import OF_FFN, ROOT, TINY, Project, keep_sections
from vidkd.paths import Paths, sidecar

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tiny")]

DAG = Paths("results/tiny").figure.format(figure="dag")
REDRAWN = {"draw_dag": 1, "build_report": 1}
EVALUATED = '        files(flow.needs("evaluate")),\n'
WITH_MANIFEST = f"{EVALUATED}        manifest=ancient(paths.manifest),\n"


def rule_graph(project: Project, configuration: str) -> tuple[set[str], set[tuple[str, str]]]:
    """Rules and dependencies as Snakemake prints them, without the target."""
    done = project.snakemake("all", "--rulegraph", "--configfile", configuration)
    names = dict(re.findall(r'^\s*(\d+)\[label = "(\w+)"', done.stdout, re.MULTILINE))
    pairs = re.findall(r"^\s*(\d+) -> (\d+)", done.stdout, re.MULTILINE)
    edges = {(names[start], names[end]) for start, end in pairs}
    return set(names.values()) - {"all"}, {(start, end) for start, end in edges if end not in ("all", start)}


def drawn_graph(project: Project, figure: str) -> tuple[set[str], set[tuple[str, str]]]:
    """The same as they were drawn, whatever the methods that they are of."""
    graph = json.loads((project.root / sidecar(figure)).read_text())["settings"]
    rules = {name: name.partition(" ")[0] for name in graph["stages"]}
    edges = {(rules[start], rules[end]) for start, end in graph["edges"]}
    return set(rules.values()), {(start, end) for start, end in edges if start != end}


def words(figure: Path) -> set[str]:
    return set(re.findall(r"<text[^>]*>([^<]+)</text>", figure.read_text()))


@pytest.mark.parametrize("configuration", ["config/config.yaml", TINY])
def test_the_drawn_rules_are_those_of_snakemake(project, configuration):
    results = "results/tiny" if configuration == TINY else "results"
    figure = Paths(results).figure.format(figure="dag")
    done = project.snakemake(figure, "--cores", "1", "--configfile", configuration)
    assert done.returncode == 0, done.stdout + done.stderr
    rules, edges = rule_graph(project, configuration)
    assert len(rules) > 12
    assert drawn_graph(project, figure) == (rules, edges)
    text = (project.root / figure).read_text()
    stages = {file.stem for file in (ROOT / "rules").glob("*.smk")}
    drawn = {word.partition(" ")[0] for word in words(project.root / figure)}
    assert rules <= drawn <= rules | stages
    # Of a page of 1100 pixels; a point has 4/3.
    assert float(re.search(r'<svg [^>]*width="([\d.]+)pt"', text)[1]) <= 825


def test_a_finished_run_has_the_picture_of_one_that_never_ran(tiny, project):
    assert tiny.project.plan() == {}
    assert drawn_graph(tiny.project, DAG) == rule_graph(tiny.project, TINY) == rule_graph(project, TINY)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("rules/train.smk", "rule predict:\n", "# Why.\nrule predict:\n"),
        ("rules/report.smk", "    threads: 1\n", "    # Why.\n    threads: 2\n"),
        (TINY, "variants:\n", "variants:\n    # Why.\n"),
        (TINY, "ffn: {}", "ffn: {lambda_kl: 0.5}\n    ce: {objective: cross_entropy}"),
    ],
    ids=["comment of a rule", "threads", "comment of the configuration", "another variant"],
)
def test_the_same_graph_is_not_drawn_again(tiny, file, old, new):
    with tiny.project.restored(file):
        tiny.project.replace(file, old, new)
        assert "draw_dag" not in tiny.project.plan()


def test_another_input_is_drawn(tiny):
    with tiny.project.restored("rules/evaluate.smk"):
        tiny.project.replace("rules/evaluate.smk", EVALUATED, WITH_MANIFEST)
        assert tiny.project.plan().items() >= REDRAWN.items()


def test_another_configuration_is_drawn(tiny):
    with tiny.project.restored(TINY):
        keep_sections(tiny.project, *OF_FFN)
        assert tiny.project.plan().items() >= REDRAWN.items()


def test_a_job_of_a_cluster_draws_the_whole_graph(project):
    """As Snakemake starts one: with that job alone in its graph."""
    done = project.snakemake(
        "--target-jobs", "draw_dag:", "--allowed-rules", "draw_dag", "--mode", "remote", "--cores", "1",
        "--nolock", "--configfile", TINY,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert drawn_graph(project, DAG) == rule_graph(project, TINY)
