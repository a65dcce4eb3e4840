from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.engine.conftest import _own_process_state  # noqa: F401
from tests.methods.converters.cached import Shards, make_pair, options, write_split
from tests.methods.converters.trained import changed, trained
from vidkd.artefacts import file_sha256
from vidkd.config.base import canonical
from vidkd.config.data import SPLITS
from vidkd.features.store import FeatureStore
from vidkd.paths import sidecar
from workflow_scripts import convert_features, train


@pytest.fixture
def pair(tmp_path) -> Shards:
    return make_pair(tmp_path / "cache")


def words(weights: Path, shards: Shards, folder: Path) -> Iterator[str]:
    yield "converters"
    yield f"--trained=converter={weights}"
    yield from options({"vjepa2": shards["vjepa2"]}, *SPLITS)
    yield from (f"--output-{split}={folder / split / 'shard_0.h5'}" for split in SPLITS)


def run(command, *arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_from_two_caches_to_a_third(pair, tmp_path):
    settings = canonical(changed(epochs=1))
    about = ["--run=small.videomae", f"--run-dir={tmp_path / 'run'}", "--settings", settings]
    done = run(train.main, "converters", *options(pair), *about)
    assert done.exit_code == 0, done.output
    weights = tmp_path / "run/model.safetensors"
    done = run(convert_features.main, *words(weights, pair, tmp_path / "out"))
    assert done.exit_code == 0, done.output
    for split in SPLITS:
        output = tmp_path / "out" / split / "shard_0.h5"
        store = FeatureStore([output])
        store.verify()
        assert store.meta.backbone == "videomae"
        record = json.loads(output.with_name(sidecar(output.name)).read_text())
        for file in (weights, weights.with_name("config.json")):
            assert record["inputs"][str(file)] == file_sha256(file)
        assert str(pair["vjepa2"][split][0].parent) in record["inputs"]


def test_a_converter_of_another_student_ends_in_words(pair, tmp_path):
    weights = trained(pair, tmp_path / "run", changed(epochs=0))
    shards = {"vjepa2": pair["videomae"]}
    done = run(convert_features.main, *words(weights, shards, tmp_path / "out"))
    assert done.exit_code == 2
    assert "is a converter from other features than these of videomae" in done.output
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_killed_at_any_time_it_leaves_no_half_file_and_runs_again_to_the_same_bytes(pair, tmp_path):
    many = [f"train_{number:05d}" for number in range(2000)]
    pair["vjepa2"]["train"] = write_split(tmp_path / "many", "vjepa2", many)
    weights = trained(make_pair(tmp_path / "small"), tmp_path / "run", changed(epochs=0, width=256, layers=4))

    def command(folder):
        arguments = list(words(weights, pair, tmp_path / folder))
        return [sys.executable, "-m", "workflow_scripts.convert_features", *arguments]

    def outputs(folder):
        return {split: tmp_path / folder / split / "shard_0.h5" for split in SPLITS}

    subprocess.run(command("straight"), check=True, capture_output=True)
    process = subprocess.Popen(command("killed"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list((tmp_path / "killed").glob("train/.shard_0.h5.*.tmp")):
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    assert process.wait(60) == -signal.SIGKILL
    assert not list((tmp_path / "killed").rglob("shard_0.h5"))
    assert list((tmp_path / "killed").rglob("*.tmp"))
    subprocess.run(command("killed"), check=True, capture_output=True)
    assert not list((tmp_path / "killed").rglob("*.tmp"))
    for split in SPLITS:
        assert outputs("killed")[split].read_bytes() == outputs("straight")[split].read_bytes()
