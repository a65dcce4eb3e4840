"""`compute.trackers` reaches the trainings, and they write the same files as without it."""

from __future__ import annotations

import shutil

import pytest

from tests.engine.test_trackers import EVENTS, curves
from tests.workflow.conftest import TINY, Project
from vidkd.engine.run import RUN_FILES

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tiny")]

RUN = "results/tiny/ffn/st4/seed0"


def test_a_training_of_the_workflow_writes_curves_and_the_same_files(tiny, tmp_path):
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
