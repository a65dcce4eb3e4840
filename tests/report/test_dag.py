"""The figure of the rules: nothing overlaps, every arrow goes down, and every rule is in it."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import networkx as nx
import pytest

from vidkd.report.dag import LETTER, PAGE, STEP, draw_dag, place_rules
from vidkd.workflow.report import rule_graph

ROOT = Path(__file__).resolve().parents[2]


def drawn_at_random(seed: int) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Stages and edges of some rules without a cycle, a few of them unlinked."""
    generator = random.Random(seed)
    names = [f"rule_{'x' * generator.randrange(12)}_{n}" for n in range(generator.randrange(1, 60))]
    edges = [pair for pair in combinations(names, 2) if generator.random() < 3 / len(names)]
    return {name: f"stage{generator.randrange(12)}" for name in names}, edges


@pytest.mark.parametrize("seed", range(6))
def test_arrows_go_down_and_no_two_boxes_overlap(seed):
    stages, edges = drawn_at_random(seed)
    graph = nx.DiGraph(edges)
    graph.add_nodes_from(stages)
    places = place_rules(graph)
    assert set(places) == set(stages)
    assert all(places[start][1] < places[end][1] for start, end in edges)
    for (one, (x, y)), (other, (to_x, to_y)) in combinations(places.items(), 2):
        widths = LETTER * (len(one) + len(other)) / 2
        assert abs(y - to_y) >= STEP or abs(x - to_x) > widths
    assert all(LETTER * len(rule) / 2 < x < PAGE - LETTER * len(rule) / 2 for rule, (x, _) in places.items())


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
