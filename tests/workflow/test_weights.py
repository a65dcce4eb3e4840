"""Weights as a stage: fetched by Snakemake before anything else has run, then used with the network off."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.backbones.checkpoints import MAKERS, clips, settings_of
from tests.backbones.hub_server import REVISION, Hub
from tests.web_server import serve, without_network
from tests.workflow.conftest import OF_FFN, TINY, Project, keep_sections
from vidkd.backbones.registry import load_backbone
from vidkd.features.store import FeatureStore
from vidkd.paths import Paths

pytestmark = pytest.mark.slow

CONTENT = bytes(range(256)) * 1000
SUM = hashlib.sha256(CONTENT).hexdigest()


def snakemake(project: Project, hub: str, backbones: dict[str, object], *arguments: str) -> list[str]:
    """A command with these backbones instead of the configuration's, and the hub at an address."""
    settings = ["--configfile", TINY, "--config", f"backbones={json.dumps(backbones)}"]
    variables = [
        f"HOME={project.root}",
        "PATH=/usr/bin:/bin:/sbin",
        "OMP_NUM_THREADS=1",
        f"HF_ENDPOINT={hub}",
    ]
    command = [sys.executable, "-m", "snakemake", *arguments, "--cores", "1", *settings]
    return ["env", "-i", *variables, *command]


def run(project: Project, command: list[str]) -> tuple[int, str]:
    """Exit status and all that is on the screen."""
    done = subprocess.run(
        command, cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return done.returncode, done.stdout


def test_features_without_network(tiny, tmp_path):
    """Where all is there but the features: frames are what they are made of."""
    project, folder = Project(tmp_path / "project"), tmp_path / "repository"
    shutil.copytree(tiny.project.root, project.root, symlinks=True)
    keep_sections(project, *OF_FFN)
    MAKERS["vivit"](folder)
    backbones = {"video": {"kind": "vivit", "hub": "someone/small", "revision": REVISION}}
    target = Paths("results/tiny").features.format(backbone="video", split="test", shard=0)
    with serve(Hub({"someone/small": folder}).answer) as server:
        features = without_network(*snakemake(project, server.url, backbones, target))
        status, said = run(project, features)
        assert status != 0
        assert (
            f"Error: backbone vivit, someone/small at {REVISION}: not on this machine. Run snakemake" in said
        )
        assert "Traceback" not in said
        status, said = run(project, snakemake(project, server.url, backbones, "download_weights"))
        assert status == 0, said
    status, said = run(project, features)
    assert status == 0, said
    store = FeatureStore([project.root / target])
    network = load_backbone(settings_of("vivit", folder))
    assert store.meta.weights_sha256 == network.weights_sha256
    assert store.rows([0]).shape[1:] == network(clips(1, network.spec.frames)).mean(2).shape[1:]


def test_it_runs_whenever_it_is_asked_for_and_never_else(ffn_alone):
    """Also without a data set; the second time it finds all there."""
    backbones = {"amd": {"kind": "videomae", "file": "weights/w.pth", "sha256": SUM}}
    config = ["data={adapter: csv, root: nowhere, annotations: .}"]
    with serve(lambda handler: handler.send(CONTENT)) as server:
        backbones["amd"]["url"] = f"{server.url}/w.pth"
        command = [*snakemake(ffn_alone, "http://127.0.0.1:9", backbones, "download_weights"), *config]
        status, said = run(ffn_alone, command)
        assert status == 0, said
        assert "backbones.amd (weights/w.pth): 256.0 kB, to be fetched into weights/w.pth" in said
        status, said = run(ffn_alone, command)
        assert status == 0, said
        assert "backbones.amd (weights/w.pth): 256.0 kB, is here" in said
    assert (ffn_alone.root / "weights/w.pth").read_bytes() == CONTENT
    assert "is here" in log(ffn_alone).read_text()
    assert not (ffn_alone.root / "results/tiny/data").exists()
    assert "download_weights" not in ffn_alone.plan("all")


def test_a_refused_download(ffn_alone):
    backbones = {"amd": {"kind": "videomae", "file": "weights/w.pth", "sha256": SUM}}
    with serve(lambda handler: handler.plain(403, b"")) as server:
        backbones["amd"]["url"] = f"{server.url}/w.pth"
        status, said = run(ffn_alone, snakemake(ffn_alone, server.url, backbones, "download_weights"))
    assert status != 0
    place = f"and place the file at {ffn_alone.root}/weights/w.pth: its sha256 is {SUM}."
    assert place in said
    assert place in log(ffn_alone).read_text()
    assert "Traceback" not in said


def log(project: Project) -> Path:
    return project.root / Paths("results/tiny").log("download_weights")
