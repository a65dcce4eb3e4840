"""The same configuration gives the same bytes, whatever the machine is told about cores and curves."""

from __future__ import annotations

import re
import shutil

import pytest

from tests.engine.test_trackers import EVENTS, curves
from tests.workflow.conftest import TINY, Project, copy_project
from vidkd.engine.run import RUN_FILES

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tiny")]

TABLE = "results/tiny/ffn/tfd.csv"
RUN = "results/tiny/ffn/st4/seed0"

# They tell when and how long, on what machine.
OF_THE_MACHINE = re.compile(
    r"\.provenance\.json$|^(logs|benchmarks)/|/latency\.csv$|^report/index"
    r"|^(student/student|trimodel/trimodel)\.csv$"
    r"|^report/(tables/(efficiency|provenance|student|trimodel|wall_time)|figures/tradeoff)\."
)


def artefacts(project):
    results = project.root / "results/tiny"
    files = {str(path.relative_to(results)): path for path in results.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if not OF_THE_MACHINE.search(name)}


def differing(one, other):
    """The artefacts that are not in both, or not with the same bytes."""
    first, second = artefacts(one), artefacts(other)
    return sorted(name for name in first | second if first.get(name) != second.get(name))


def test_one_core_and_two_give_the_same_bytes(tiny, tmp_path):
    """Up to the table: whole runs, reports included, are compared in test_slurm and test_faults."""
    again = copy_project(tmp_path)
    done = again.snakemake(TABLE, "--cores", "1", "--configfile", TINY)
    assert done.returncode == 0, done.stdout + done.stderr
    found, wanted = artefacts(again), artefacts(tiny.project)
    assert {"ffn/tfd.csv", "ffn/ffn/seed0/model.safetensors"} <= set(found)
    assert [name for name, content in found.items() if content != wanted.get(name)] == []


def test_the_table_alone_is_the_same_table(tiny, tmp_path):
    """`snakemake results/…/tfd.csv` plans just what the table needs."""
    done = copy_project(tmp_path).dry_run(TABLE, "--configfile", TINY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "results/tiny/ffn/tfd.csv" in done.stdout
    assert "build_report" not in done.stdout


def test_training_never_sees_the_test_split(tiny):
    done = tiny.project.dry_run("-p", "--forceall", "--configfile", TINY)
    of_frames = r"python -m workflow_scripts\.(train|predict) (?:ffn|student|trimodel) ([^>]+)>"
    commands = re.findall(of_frames, done.stdout)
    assert {stage for stage, _ in commands} == {"train", "predict"}
    for stage, options in commands:
        assert ("frames/test" in options) == (stage == "predict")
        assert ("frames/train" in options) == (stage == "train")


def test_a_training_of_the_workflow_writes_curves_and_the_same_files(tiny, tmp_path):
    """`compute.trackers` reaches the training."""
    project = Project(tmp_path / "copy")
    shutil.copytree(tiny.project.root, project.root, symlinks=True)
    before = {name: (project.root / RUN / name).read_bytes() for name in RUN_FILES}
    project.replace(TINY, "gpus: 0,", "gpus: 0, trackers: [tensorboard],")
    history = f"{RUN}/history.csv"
    done = project.snakemake(history, "--forcerun", "train", "--cores", "2", "--configfile", TINY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rule train:" in done.stdout + done.stderr
    assert {name: (project.root / RUN / name).read_bytes() for name in RUN_FILES} == before
    header = before["history.csv"].decode().splitlines()[0].split(",")
    assert sorted(curves(project.root / RUN / EVENTS)) == sorted(header)
