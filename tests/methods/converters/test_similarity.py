"""Likeness of features against the kernels in numpy, clips joined by their names."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from tests.evaluate.test_similarity import naive_cka
from tests.methods.converters.cached import feature_of, inputs_of, options, video_ids, write_split
from vidkd.errors import UserError
from vidkd.methods.converters.load import load_converter
from vidkd.methods.converters.similarity import compare_features
from vidkd.paths import sidecar
from workflow_scripts import tabulate as script

NAMES = ["vjepa2", "videomae", "small(videomae)"]


def compared(shards, *weights):
    """The table, of the test split."""
    return compare_features(inputs_of(shards, {f"run{k}": file for k, file in enumerate(weights)}), {})


def test_all_pairs_are_those_of_the_kernels(pair, weights, tmp_path):
    table = compared(pair, weights).astype({"cka": float})
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


def test_without_converters_there_are_the_networks(pair, tmp_path):
    assert len(compared(pair)) == 4


def test_what_is_not_defined_is_empty(pair, tmp_path):
    few = {
        name: {"test": write_split(tmp_path / "few" / name, name, video_ids("test")[:3], n_shards=1)}
        for name in pair
    }
    assert compared(few).to_csv(index=False).splitlines()[1] == "vjepa2,vjepa2,"


def test_the_script(pair, weights, tmp_path):
    table = tmp_path / "results/similarity.csv"
    make = "vidkd.methods.converters.similarity:compare_features"
    given = [*options(pair, "test"), f"--trained=small={weights}"]
    done = CliRunner().invoke(script.main, [make, *given, f"--table={table}"])
    assert done.exit_code == 0, done.output
    first = table.read_bytes()
    about = json.loads(Path(sidecar(str(table))).read_text())
    assert {str(weights), str(weights.with_name("config.json"))} <= set(about["inputs"])
    CliRunner().invoke(script.main, [make, *given, f"--table={table}"])
    assert table.read_bytes() == first
    assert {path.name for path in table.parent.iterdir()} == {table.name, f"{table.name}.provenance.json"}


def test_a_converter_of_another_student_is_refused(pair, weights):
    with pytest.raises(UserError, match="converts features of vjepa2"):
        compared({"videomae": pair["videomae"]}, weights)
    both = {split: pair["videomae"][split] for split in ("val", "test")}
    more = {"test": [file for files in both.values() for file in files]}
    with pytest.raises(UserError, match="vjepa2 has no features of"):
        compared({"vjepa2": {"test": pair["vjepa2"]["val"]}, "videomae": more})
