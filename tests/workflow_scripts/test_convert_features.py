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
from vidkd.config.data import SPLITS
from vidkd.config.load import canonical
from vidkd.features.store import FeatureStore
from vidkd.paths import sidecar
from vidkd.provenance import file_sha256
from workflow_scripts import convert_features, train_converter


@pytest.fixture
def pair(tmp_path) -> Shards:
    return make_pair(tmp_path / "cache")


def words(weights: Path, shards: Shards, folder: Path) -> Iterator[str]:
    yield f"--weights={weights}"
    for split in SPLITS:
        yield from (f"--{split}={path}" for path in shards["vjepa2"][split])
        yield f"--output-{split}={folder / split / 'shard_0.h5'}"


def run(command, *arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_from_two_caches_to_a_third(pair, tmp_path):
    settings = canonical(changed(epochs=1))
    about = ["--converter=small", f"--run-dir={tmp_path / 'run'}", "--settings", settings]
    done = run(train_converter.main, *options(pair), *about)
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
        read = [weights, weights.with_name("config.json"), *pair["vjepa2"][split]]
        assert record["inputs"] == {str(file): file_sha256(file) for file in read}
        assert record["settings"] == changed(epochs=1).model_dump(mode="json")


def test_folders_are_their_shards(pair, tmp_path):
    folder = tmp_path / "cache"
    places = [
        f"--{side}-{split}={folder / name / split}"
        for side, name in (("student", "vjepa2"), ("teacher", "videomae"))
        for split in ("train", "val")
    ]
    names = ["--student=vjepa2", "--teacher=videomae", "--converter=small"]
    settings = canonical(changed(epochs=1))
    for run_dir, given in (("a", places), ("b", options(pair))):
        done = run(
            train_converter.main, *given, *names, f"--run-dir={tmp_path / run_dir}", "--settings", settings
        )
        assert done.exit_code == 0, done.output
    first, second = ((tmp_path / run_dir / "model.safetensors").read_bytes() for run_dir in "ab")
    assert first == second


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
