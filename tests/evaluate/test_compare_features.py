"""Likeness of features against the kernels in numpy, clips joined by their names."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from tests.engine.conftest import _own_process_state  # noqa: F401
from tests.evaluate.test_similarity import naive_cka
from tests.methods.converters.cached import feature_of, make_pair, video_ids, write_split
from tests.methods.converters.trained import changed, trained
from vidkd.evaluate.compare_features import compare_features
from vidkd.methods.converters.load import load_converter
from vidkd.paths import sidecar
from workflow_scripts import compare_features as script

NAMES = ["vjepa2", "videomae", "small(videomae)"]


@pytest.fixture
def shards(tmp_path):
    return make_pair(tmp_path / "cache")


@pytest.fixture
def weights(shards, tmp_path):
    return trained(shards, tmp_path / "run", changed(epochs=2))


def last_split(shards):
    return {name: splits["test"] for name, splits in shards.items()}


def test_all_pairs_are_those_of_the_kernels(shards, weights, tmp_path):
    compare_features(last_split(shards), [weights], tmp_path / "similarity.csv")
    table = pd.read_csv(tmp_path / "similarity.csv")
    assert list(table[["one", "other"]].itertuples(index=False, name=None)) == [
        (one, other) for one in NAMES for other in NAMES
    ]
    found = table.set_index(["one", "other"])["cka"]
    clips = video_ids("test")
    seen = {name: np.stack([feature_of(name, clip) for clip in clips]) for name in NAMES[:2]}
    with torch.no_grad():
        made = load_converter(weights)(torch.from_numpy(seen["vjepa2"])).numpy()
    means = {name: of.mean(1, dtype=np.float64) for name, of in {**seen, NAMES[2]: made}.items()}
    for one, other in found.index:
        assert found[one, other] == pytest.approx(naive_cka(means[one], means[other]), abs=2e-6)
        assert found[one, other] == found[other, one]
    assert found[NAMES[2], "videomae"] > 0.2


def test_without_converters_there_are_the_networks(shards, tmp_path):
    compare_features(last_split(shards), [], tmp_path / "similarity.csv")
    assert len(pd.read_csv(tmp_path / "similarity.csv")) == 4


def test_what_is_not_defined_is_empty(shards, tmp_path):
    few = {
        name: write_split(tmp_path / "few" / name, name, video_ids("test")[:3], n_shards=1) for name in shards
    }
    compare_features(few, [], tmp_path / "similarity.csv")
    lines = (tmp_path / "similarity.csv").read_text().splitlines()
    assert lines[1] == "vjepa2,vjepa2,"


def test_the_script(shards, weights, tmp_path):
    table = tmp_path / "results/similarity.csv"
    given = [f"--features={name}={path}" for name, files in last_split(shards).items() for path in files]
    done = CliRunner().invoke(script.main, [str(weights), *given, f"--table={table}"])
    assert done.exit_code == 0, done.output
    first = table.read_bytes()
    about = json.loads(Path(sidecar(str(table))).read_text())
    assert {str(weights), str(weights.with_name("config.json"))} <= set(about["inputs"])
    assert len(about["inputs"]) == 6
    CliRunner().invoke(script.main, [str(weights), *given, f"--table={table}"])
    assert table.read_bytes() == first
    assert {path.name for path in table.parent.iterdir()} == {table.name, f"{table.name}.provenance.json"}


def test_a_converter_of_another_student_is_refused(shards, weights, tmp_path):
    given = [f"--features=videomae={path}" for path in shards["videomae"]["test"]]
    done = CliRunner().invoke(script.main, [str(weights), *given, f"--table={tmp_path / 's.csv'}"])
    assert done.exit_code == 2
    assert "converts features of vjepa2" in done.output
    missing = [f"--features={name}={path}" for name in ("vjepa2", "videomae") for path in shards[name]["val"]]
    missing += [f"--features=videomae={path}" for path in shards["videomae"]["test"]]
    done = CliRunner().invoke(script.main, [*missing, f"--table={tmp_path / 's.csv'}"])
    assert done.exit_code == 2
    assert "vjepa2 has no features of" in done.output
    assert not (tmp_path / "s.csv").exists()
