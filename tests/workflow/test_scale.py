"""As many videos as Something-Something v2 are planned in little memory, and without reading their tables."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.workflow.conftest import ROOT, Project, copy_project
from vidkd.config.load import load_settings
from vidkd.data.manifest import build_manifest
from vidkd.data.tables import shard_files
from vidkd.paths import Paths

pytestmark = pytest.mark.slow

SSV2 = "config/experiments/ssv2.yaml"
PATHS = Paths("results/ssv2")
WATCHED = """
import atexit, json, pathlib, re, runpy, sys
opened = set()
sys.addaudithook(lambda event, values: opened.add(str(values[0])) if event == "open" else None)

def write():
    peak = re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1]
    pathlib.Path("watched.json").write_text(json.dumps({"mb": int(peak) / 1024, "opened": sorted(opened)}))

atexit.register(write)
runpy.run_module("snakemake", run_name="__main__", alter_sys=True)
"""


@dataclass(frozen=True)
class Planned:
    """What a dry run of everything says, needs and reads."""

    jobs: int
    mb: float
    opened: list[str]


def plan(project: Project) -> Planned:
    """A dry run of the default target."""
    command = [sys.executable, "-c", WATCHED, "-n", "--configfile", SSV2]
    done = subprocess.run(command, cwd=project.root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    watched = json.loads((project.root / "watched.json").read_text())
    return Planned(int(re.search(r"^total +(\d+)$", done.stdout, re.MULTILINE)[1]), **watched)


def read(planned: Planned, folder: str) -> list[str]:
    """What was opened below a folder."""
    return [name for name in planned.opened if f"/{folder}/" in f"/{name}"]


@pytest.fixture(scope="module")
def listed(tmp_path_factory) -> tuple[Project, Planned]:
    """A project whose 220,847 videos are listed, and what is planned then."""
    project = copy_project(tmp_path_factory.mktemp("scale"))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        from bench_plan import write_labels
    write_labels(project.root / "data/ssv2")
    done = project.snakemake("list_videos", "--cores", "1", "--configfile", SSV2)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    assert (
        "152035 train, 16878 val, 24777 test videos of 174 classes"
        in (project.root / PATHS.log("list_videos")).read_text()
    )
    return project, plan(project)


def test_a_listed_data_set_is_planned_in_few_jobs_and_little_memory(listed):
    _, planned = listed
    assert 800 < planned.jobs < 2000
    assert planned.mb < 500
    assert any(name.endswith("ssv2.yaml") for name in planned.opened)
    assert read(planned, "data/ssv2") == []
    assert read(planned, "results/ssv2/data") == []


def test_a_probed_data_set_is_planned_without_its_manifest(listed):
    project, before = listed
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        from bench_probe import probe_without_files
    settings = load_settings(ROOT / SSV2).data
    data = project.root / Path(PATHS.manifest).parent
    probe_without_files(data, settings.n_shards)
    build_manifest(data / "probe", data / "classes.json", data / "manifest.csv", settings)
    assert all(file.is_file() for file in shard_files(data / "probe", settings.n_shards))
    planned = plan(project)
    assert planned.jobs == before.jobs - settings.n_shards - 1
    assert planned.mb < 500
    assert read(planned, "results/ssv2/data") == []
