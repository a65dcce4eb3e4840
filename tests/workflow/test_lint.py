"""The workflow keeps to Snakemake's own rules, and to the house's on length."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workflow.conftest import ROOT

RULES = sorted((ROOT / "rules").glob("*.smk"))


def test_snakemake_lint(project):
    done = project.snakemake("--lint")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "good condition" in done.stdout + done.stderr


def test_snakefmt():
    snakefmt = Path(sys.executable).with_name("snakefmt")
    done = subprocess.run(
        [snakefmt, "--check", "Snakefile", "rules"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_snakefile_is_short():
    assert len((ROOT / "Snakefile").read_text().splitlines()) <= 60


@pytest.mark.parametrize("file", RULES, ids=lambda path: path.stem)
def test_rules_are_short_and_complete(file):
    text = file.read_text()
    assert len(text.splitlines()) <= 200
    for rule in re.split(r"^(?=(?:rule|checkpoint) )", text, flags=re.MULTILINE)[1:]:
        assert len(rule.strip().splitlines()) <= 45, rule
        wanted = ["log", "conda", "threads", "resources", "params", "shell"]
        # A benchmark counts as an output: a rule without any would run only once.
        for directive in [*wanted, "benchmark"] if "\n    output:" in rule else wanted:
            assert f"\n    {directive}:" in rule, f"{directive} is missing:\n{rule}"
        assert re.search(r"code=(flow\.|code\()", rule)


def test_parsing_loads_neither_torch_nor_pandas(project):
    """Each cluster job parses twice. (Snakemake's plugin for SLURM loads pandas before it parses.)"""
    project.replace("Snakefile", "# An experiment", "import sys; before = set(sys.modules)\n# An experiment")
    project.replace(
        "Snakefile",
        "rule all:",
        "print('HEAVY', sorted({'torch', 'pandas', 'numpy', 'h5py', 'av'} & (set(sys.modules) - before)))\n\n"
        "rule all:",
    )
    plan = ("--quiet", "all", "--dry-run", "--configfile", "config/experiments/tiny.yaml")
    done = project.snakemake(*plan, python=sys.executable)
    assert "HEAVY []" in done.stdout
