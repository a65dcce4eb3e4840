"""The picture of the rules: nothing overlaps, every arrow goes down, and every rule is in it."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path

import networkx as nx
import pytest

from vidkd.report.dag import BOX, box_sizes, draw_dag
from vidkd.report.layers import Layout, Sizes, layered
from vidkd.report.rule_graph import rule_graph

ROOT = Path(__file__).resolve().parents[2]


def drawn_at_random(seed: int) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Stages and edges of some rules without a cycle, a few of them unlinked."""
    generator = random.Random(seed)
    names = [f"rule_{'x' * generator.randrange(12)}_{n}" for n in range(generator.randrange(1, 60))]
    edges = [pair for pair in combinations(names, 2) if generator.random() < 3 / len(names)]
    return {name: f"stage{generator.randrange(12)}" for name in names}, edges


CHAIN = {"a": "one", "b": "one", "c": "two"}, [("a", "b"), ("b", "c"), ("a", "c")]
GRAPHS = [CHAIN, ({"alone": "one"}, []), *map(drawn_at_random, range(12))]


@dataclass(frozen=True)
class Drawn:
    """A graph, and where its boxes and lines are."""

    stages: dict[str, str]
    edges: list[tuple[str, str]]
    sizes: Sizes
    layout: Layout


@pytest.fixture(scope="module", params=GRAPHS, ids=lambda graph: f"{len(graph[0])} rules")
def drawn(request) -> Drawn:
    stages, edges = request.param
    sizes = box_sizes(stages)
    return Drawn(stages, edges, sizes, layered(stages, edges, sizes))


def test_no_two_boxes_overlap_and_lines_pass_beside_them(drawn):
    layout, sizes = drawn.layout, drawn.sizes
    assert set(layout.centres) == set(drawn.stages)
    for one, other in combinations(layout.centres, 2):
        (x, y), (to_x, to_y) = layout.centres[one], layout.centres[other]
        apart = abs(x - to_x) - (sizes.width[one] + sizes.width[other]) / 2
        assert abs(y - to_y) > BOX or apart >= sizes.gap - 1e-6
    for points in layout.lines.values():
        for x, y in points[1:-1]:
            beside = [name for name, centre in layout.centres.items() if abs(centre[1] - y) < BOX]
            assert all(abs(layout.centres[name][0] - x) > sizes.width[name] / 2 for name in beside)


def test_every_arrow_goes_down_and_what_follows_from_others_is_left_out(drawn):
    layout = drawn.layout
    for (start, end), points in layout.lines.items():
        assert all(below[1] > above[1] for above, below in pairwise(points))
        assert (points[0], points[-1]) == (layout.centres[start], layout.centres[end])
    assert set(layout.lines) == set(nx.transitive_reduction(nx.DiGraph(drawn.edges)).edges)


def test_everything_is_on_the_paper(drawn):
    layout = drawn.layout
    places = [
        *((x, y, drawn.sizes.width[name] / 2) for name, (x, y) in layout.centres.items()),
        *((x, y, 0.0) for points in layout.lines.values() for x, y in points),
    ]
    assert min(x - half for x, _, half in places) == pytest.approx(0)
    assert max(x + half for x, _, half in places) == pytest.approx(layout.width)
    assert all(BOX / 2 < y < layout.height - BOX / 2 for _, y, _ in places)


def test_rows_are_no_wider_than_the_page():
    stages = {f"rule_number_{n}": "one" for n in range(40)}
    sizes = box_sizes(stages)
    assert layered(stages, [], sizes).width <= sizes.page


def test_few_lines_cross():
    """Two ladders side by side need no crossing, however they are named."""
    names = {f"{side}{n}": "one" for n in range(6) for side in "pq"}
    edges = [(f"{side}{n}", f"{side}{n + 1}") for n in range(5) for side in "pq"]
    layout = layered(names, edges, box_sizes(names))
    left = [layout.centres[f"p{n}"][0] < layout.centres[f"q{n}"][0] for n in range(6)]
    assert len(set(left)) == 1


def test_a_chain_is_straight():
    names = [f"rule{n}" for n in range(9)]
    layout = layered(names, pairwise(names), box_sizes(names))
    assert len({x for x, _ in layout.centres.values()}) == 1


def test_every_rule_and_stage_is_in_the_text(tmp_path):
    stages, edges = drawn_at_random(3)
    draw_dag(stages, edges, [tmp_path / "dag.svg", tmp_path / "dag.png"])
    words = re.findall(r"<text[^>]*>([^<]+)</text>", (tmp_path / "dag.svg").read_text())
    assert sorted(words) == sorted([*stages, *set(stages.values())])
    assert (tmp_path / "dag.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_rules_give_the_same_bytes_in_every_process(tmp_path):
    stages, edges = drawn_at_random(7)
    graph = json.dumps({"stages": stages, "edges": edges})
    for seed in ("1", "2"):
        command = [sys.executable, "-m", "workflow_scripts.draw_dag", "--graph", graph]
        files = [f"--figure={tmp_path / seed}/dag.{kind}" for kind in ("svg", "png")]
        environment = os.environ | {"PYTHONHASHSEED": seed}
        subprocess.run([*command, *files], cwd=ROOT, env=environment, check=True)
    for kind in ("svg", "png"):
        assert (tmp_path / f"1/dag.{kind}").read_bytes() == (tmp_path / f"2/dag.{kind}").read_bytes()
    assert (tmp_path / "1/dag.svg.provenance.json").exists()


@dataclass(frozen=True, eq=False)
class Rule:
    """As much of a rule of Snakemake as is asked of it: it makes `NAME.N` from the files `needs[N]`."""

    name: str
    needs: dict[str, list[str]]
    wildcard: str = "number"
    snakefile: str = "/somewhere/rules/stage.smk"

    def is_producer(self, file: str) -> bool:
        return file.partition(".")[0] == self.name

    def get_wildcards(self, file: str) -> dict[str, str]:
        return {self.wildcard: file.partition(".")[2]}

    def expand_input(self, wildcards: dict[str, str]):
        return self.needs[wildcards[self.wildcard]], {}, {}, False


def test_rules_are_followed_from_targets_to_files_that_nothing_makes():
    page, table = Rule("page", {"1": ["table.1", "raw"]}), Rule("table", {"1": ["run.1"]})
    run, other = Rule("run", {"1": ["run.2"], "2": []}), Rule("other", {"1": []})
    assert rule_graph([page, table, run, other], ["page.1", "made_by_nobody"]) == {
        "stages": {"page": "stage", "run": "stage", "table": "stage"},
        "edges": [("run", "table"), ("table", "page")],
    }


def test_one_shard_is_asked_for_all():
    train = Rule("train", {"1": [f"frames.{shard}" for shard in range(3000)]})
    frames, probe = Rule("frames", {"0": ["probe.0"]}, "shard"), Rule("probe", {"0": []}, "shard")
    assert rule_graph([train, frames, probe], ["train.1"])["edges"] == [
        ("frames", "train"),
        ("probe", "frames"),
    ]
