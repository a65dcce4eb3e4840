"""The worked fifth method of docs/adding.md: a folder and a line, from training to the page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.workflow.conftest import ROOT, TINY, Project, copy_project, keep_sections
from vidkd.paths import Paths

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("fifth")]

EXAMPLE = ROOT / "examples/logit_distillation"
PATHS = Paths("results/tiny")
LAST = '    "trimodel": "vidkd.methods.trimodel.plan:TriModel",\n'
CHAPTER = (ROOT / "docs/adding.md").read_text().partition("\n## A method\n")[2].partition("\n## ")[0]
LINE, *EXCERPTS = re.findall(r"```python\n(.*?)```", CHAPTER, re.DOTALL)
(DOCUMENTED,) = re.findall(r"```yaml\n(.*?)```", CHAPTER, re.DOTALL)

# A network of random weights tells colours from each other, and nothing else of the demo.
SETTINGS = """
data: {adapter: demo, label: colour, n_shards: 1}
demo: {train: 48, val: 24, test: 24, frames: 16}
ffn: {variants: {}}
backbones:
  random: {kind: videomae, folder: weights/random}
"""
SECTION = """
logits:
  teacher: {backbone: BACKBONE, margin: 0}
  base: {arch: resnet_tiny, epochs: 1, batch_size: 16, frames: 4, size: 48}
"""


def add_method(project: Project) -> None:
    """What docs/adding.md says: the folder, and one line."""
    shutil.copytree(
        EXAMPLE, project.root / "vidkd/methods/logits", ignore=shutil.ignore_patterns("__pycache__")
    )
    project.replace("vidkd/registry.py", LAST, LAST + LINE)


def configure(project: Project) -> None:
    from tests.backbones.checkpoints import MAKERS  # imports torch

    add_method(project)
    MAKERS["videomae"](project.root / "weights/random")
    keep_sections(project, "results_dir", "frames", "latency", "compute")
    with (project.root / TINY).open("a") as config:
        config.write(SETTINGS + SECTION.replace("BACKBONE", "random"))


@pytest.fixture(scope="module")
def fifth(tmp_path_factory) -> Project:
    """A project with the method, whose configuration was run to the page."""
    project = copy_project(tmp_path_factory.mktemp("fifth"))
    configure(project)
    done = project.snakemake("--cores", "2", "--configfile", TINY)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return project


def run_files(project: Project, run: str) -> dict[str, Path]:
    of = PATHS.run("logits", run, 0)
    names = ("weights", "config", "history", "predictions", "efficiency", "metrics")
    return {name: project.root / getattr(of, name) for name in names}


def test_it_is_five_files_and_300_lines():
    files = [path for path in EXAMPLE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert len(files) <= 5
    assert sum(len(file.read_text().splitlines()) for file in files) <= 300


@pytest.mark.parametrize("excerpt", EXCERPTS)
def test_the_document_shows_what_is_in_it(excerpt):
    assert [file.name for file in EXAMPLE.glob("*.py") if excerpt in file.read_text()]


def test_nothing_else_is_touched(fifth):
    """Of all that could be committed only the registry differs, and the configuration that has runs of it."""
    files = [path for folder in ("rules", "vidkd", "workflow_scripts") for path in (ROOT / folder).rglob("*")]
    named = [path.relative_to(ROOT) for path in files if path.suffix in (".py", ".smk")]
    changed = [name for name in named if (fifth.root / name).read_bytes() != (ROOT / name).read_bytes()]
    assert changed == [Path("vidkd/registry.py")]
    lines = (fifth.root / changed[0]).read_text().splitlines(keepends=True)
    lines.remove(LINE)
    assert "".join(lines) == (ROOT / changed[0]).read_text()


@pytest.mark.parametrize("run", ["ce", "distilled"])
def test_a_run_has_all_its_files(fifth, run):
    files = run_files(fifth, run)
    assert all(file.stat().st_size for file in files.values())
    config = json.loads(files["config"].read_text())
    assert (config["method"], config["run"]) == ("logits", run)
    losses = {name for name in pd.read_csv(files["history"]).columns if name.endswith("_loss")}
    assert losses == ({"task_loss"} if run == "ce" else {"task_loss", "logit_loss"})
    predictions = pd.read_csv(files["predictions"])
    assert len(predictions) == 24
    assert predictions.filter(like="s_").sum(axis="columns").to_numpy() == pytest.approx(1, abs=1e-4)
    metrics = json.loads(files["metrics"].read_text())
    assert metrics["top1"] == pytest.approx(100 * (predictions["pred"] == predictions["label_id"]).mean())


def test_its_teacher_is_measured_and_passes_the_gate(fifth):
    metrics = json.loads((fifth.root / PATHS.teacher("logits", "random").metrics).read_text())
    assert metrics["label"] == "colour"
    assert metrics["gate"]["passed"]


def test_its_rows_are_in_its_table_in_the_summary_and_on_the_page(fifth):
    own = pd.read_csv(fifth.root / PATHS.table("logits", "logits"), index_col="variant")
    assert list(own.index) == ["ce", "distilled", "(teacher)"]
    summary = pd.read_csv(fifth.root / PATHS.report_table.format(table="summary"))
    rows = summary[summary["method"] == "logits"].set_index("variant")
    assert list(rows.index) == ["ce", "distilled"]
    assert rows["frames"].eq(4).all()
    assert rows.loc["distilled", "baseline"] == "ce"
    for run in rows.index:
        top1 = json.loads(run_files(fifth, run)["metrics"].read_text())["top1"]
        assert own.loc[run, "top1"] == pytest.approx(top1, abs=1e-3)
        assert rows.loc[run, "top1"] == pytest.approx(top1, abs=1e-3)
    page = (fifth.root / PATHS.report).read_text()
    section = page.partition('id="logits"')[2]
    words = re.sub(r"<[^>]+>", " ", section.partition("</table>")[0])
    assert "Logit distillation" in words
    assert all(name in words for name in own.index)
    for figure in ("curves", "confusion", "mistakes"):
        assert (fifth.root / PATHS.figure.format(figure=f"{figure}_logits")).stat().st_size


def test_a_second_call_does_nothing(fifth):
    done = fifth.snakemake("--cores", "2", "--configfile", TINY)
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout + done.stderr


OWN = "vidkd/methods/logits"
PAGE = {"tabulate_report": 1, "draw per_class": 1, "build_report": 1}
JUDGED = {
    **{f"{step} logits": 2 for step in ("predict", "evaluate")},
    **{f"draw {figure}_logits": 1 for figure in ("curves", "confusion", "mistakes")},
    **{"tabulate logits/logits": 1, **PAGE},
}


@pytest.mark.parametrize(
    ("file", "old", "new", "plan"),
    [
        (f"{OWN}/train.py", "(1 - alpha) * ", "0.5 * (1 - alpha) * ", {"train logits": 2, **JUDGED}),
        (TINY, "frames: 4,", "frames: 4, temperature: 2,", {"train logits": 2, **JUDGED}),
        (f"{OWN}/report.py", '"largest class"', '"chance"', {"tabulate logits/logits": 1, **PAGE}),
        (f"{OWN}/train.py", "T² KL(", "T^2 KL(", {}),
        ("vidkd/methods/ffn/loss.py", "lambda_kl * kl", "2 * lambda_kl * kl", {}),
    ],
    ids=["its loss", "its setting", "its page", "a docstring", "another method's loss"],
)
def test_a_change_reruns_what_it_can_change_and_nothing_else(fifth, file, old, new, plan):
    with fifth.restored(file):
        fifth.replace(file, old, new)
        assert fifth.plan() == plan


@pytest.fixture(scope="module")
def beside(tmp_path_factory) -> Callable[..., str]:
    """Runs Python in a project that has the method beside all others, in the tiny configuration."""
    project = copy_project(tmp_path_factory.mktemp("beside"))
    add_method(project)
    with (project.root / TINY).open("a") as config:
        config.write(SECTION.replace("BACKBONE", "videomae"))

    def run(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=project.root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_the_generated_documents_know_its_settings(beside):
    beside("-m", "workflow_scripts.write_config_docs")
    beside("-m", "workflow_scripts.write_config_docs", "--check")
    assert "--temperature" in beside("-m", "workflow_scripts.train", "logits", "--help")


def test_the_section_of_the_document_is_right(beside):
    program = f"""
import yaml
from vidkd.config.load import load_settings
settings = yaml.safe_load({DOCUMENTED!r})
settings["backbones"] = {{settings["logits"]["teacher"]["backbone"]: dict(kind="videomae", folder="weights")}}
experiment = load_settings(settings).logits
print([experiment.variant(name).temperature for name in experiment.variants])
"""
    assert beside("-c", program) == "[4.0, 4.0, 8.0]\n"


def test_it_holds_the_contracts_of_all_methods(beside):
    """All but one: the tests of the example are these."""
    chosen = "(logits or judges or upwards or light or names_a_method) and not has_tests"
    said = beside(
        "-m", "pytest", "tests/test_contracts.py", "-n", "0", "-p", "no:cacheprovider", "-rA", "-k", chosen
    )
    assert (
        "PASSED tests/test_contracts.py::test_a_step_whose_inputs_are_missing_is_refused[train logits]"
        in said
    )


def test_it_has_the_style_of_the_project(beside):
    beside("-m", "ruff", "check", "vidkd/methods/logits")
    beside("-m", "ruff", "format", "--check", "vidkd/methods/logits")
