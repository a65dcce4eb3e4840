from __future__ import annotations

import collections
import json
import os
import pickle
import subprocess

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from tests.data.feature_files import META, features_of
from vidkd.errors import UserError
from vidkd.features.pickle_import import read_pickle
from vidkd.features.store import FeatureStore
from workflow_scripts.import_features import main

IDS = ["z/late", "a/one", "b/zwei", "m/é", "c/3"]


def write_cache(folder, dtype="float16", protocol=4, root="/data/ucf101", **changed):
    """A cache as the original project writes it: shards of two videos in the order of its loader."""
    shards = []
    for start in range(0, len(IDS), 2):
        records = []
        for number, name in enumerate(IDS[start : start + 2], start):
            record = {"path": f"{root}/{name}.avi", "label": number % 3}
            record["student"] = features_of(name).astype(dtype)
            record["videomae"] = features_of(name, 2, 7).astype(dtype)
            records.append(record | changed)
        file = f"features_ucf101_train_shard_{len(shards):05}.pkl"
        (folder / file).write_bytes(pickle.dumps(records, protocol))
        shards.append({"file": file, "start": start, "count": len(records)})
    index = {
        "dataset": "ucf101", "root": root, "split": "train", "student": "vjepa2", "teachers": ["videomae"],
        "dtype": dtype, "num_frames": 16, "batch_size": 8, "num_workers": 4, "shard_size": 2,
        "num_samples": len(IDS), "shards": shards,
    }  # fmt: skip
    path = folder / "features_ucf101_train.index.json"
    path.write_text(json.dumps(index))
    return path


def run(index, output):
    return CliRunner().invoke(main, [str(index), "--features", str(output)])


def stores(output):
    return [FeatureStore(sorted((output / name / "train").glob("*.h5"))) for name in ("vjepa2", "videomae")]


@pytest.mark.parametrize(("dtype", "protocol"), [("float16", 4), ("float32", 3), ("float16", 5)])
def test_every_backbone_becomes_shards(tmp_path, dtype, protocol):
    done = run(write_cache(tmp_path, dtype, protocol), tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert f"{tmp_path}/out/vjepa2/train: 5 videos, 3 x 5 {dtype}\n" in done.output
    for store, shape in zip(stores(tmp_path / "out"), [(3, 5), (2, 7)], strict=True):
        assert sorted(store.video_ids) == sorted(IDS)
        assert store.shape == shape
        rows = store.rows(store.rows_of(IDS))
        np.testing.assert_array_equal(rows, np.array([features_of(n, *shape) for n in IDS]).astype(dtype))
        assert store.label_ids[store.rows_of(IDS)].tolist() == [0, 1, 2, 0, 1]
    assert len(list(tmp_path.glob("out/*/train/shard_[012].h5.provenance.json"))) == 6


def test_an_import_is_never_taken_for_a_cache_of_the_configuration(tmp_path):
    run(write_cache(tmp_path), tmp_path / "out")
    with pytest.raises(UserError, match="weights_sha256 is unknown: imported, not abab"):
        stores(tmp_path / "out")[0].check(META)


class Runs:
    """Runs a command when it is unpickled."""

    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


@pytest.mark.parametrize(
    ("malicious", "name"),
    [
        (lambda trap: Runs(os.system, f"touch {trap}"), "posix.system"),
        (lambda trap: Runs(eval, f"open({str(trap)!r}, 'w')"), "builtins.eval"),
        (lambda trap: Runs(subprocess.check_call, ["touch", str(trap)]), "subprocess.check_call"),
        (lambda trap: Runs(np.save, str(trap), 1), r"numpy.*save"),
        (lambda trap: np.array([Runs(os.system, f"touch {trap}")], object), "posix.system"),
        (lambda trap: collections.OrderedDict(), "collections.OrderedDict"),
        (lambda trap: torch.ones(2), "torch"),
    ],
)
def test_a_pickle_that_would_run_code_is_refused_by_name(tmp_path, malicious, name):
    trap = tmp_path / "trap"
    index = write_cache(tmp_path)
    shard = tmp_path / "features_ucf101_train_shard_00001.pkl"
    shard.write_bytes(pickle.dumps([{"path": "x", "label": 0, "student": malicious(trap)}]))
    with pytest.raises(UserError, match=rf"shard_00001\.pkl is refused: it would run {name}"):
        read_pickle(shard)
    done = run(index, tmp_path / "out")
    assert done.exit_code == 2
    assert "is refused" in done.output
    assert not trap.exists()


def test_a_hand_written_pickle_with_an_attribute_path_is_refused(tmp_path):
    file = tmp_path / "x.pkl"
    file.write_bytes(b"\x80\x04\x8c\x05numpy\x8c\x13ndarray.__class__.x\x93.")
    with pytest.raises(UserError, match=r"it would run numpy\.ndarray\.__class__\.x"):
        read_pickle(file)


def test_a_cut_pickle_is_named(tmp_path):
    index = write_cache(tmp_path)
    shard = tmp_path / "features_ucf101_train_shard_00001.pkl"
    shard.write_bytes(shard.read_bytes()[:-20])
    done = run(index, tmp_path / "out")
    assert done.exit_code == 2
    assert "shard_00001.pkl is no whole pickle" in done.output


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"label": -1}, "cached features do not contain labels"),
        ({"label": None}, "cached features do not contain labels"),
        ({"path": "/elsewhere/x.avi"}, "'/elsewhere/x.avi' is not below /data/ucf101"),
        ({"path": "/data/ucf101/x.avi"}, "video 'x' comes twice"),
        ({"student": "text"}, "has no array of features 'student'"),
        ({"student": np.full((3, 5), np.nan, np.float32)}, "are NaN or infinite"),
    ],
)
def test_wrong_records_are_refused(tmp_path, changed, message):
    done = run(write_cache(tmp_path, **changed), tmp_path / "out")
    assert done.exit_code == 2
    assert message in done.output
    assert "_00000" in done.output or "shard_0" in done.output


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"student": "../x"}, "'../x' is no plain name"),
        ({"split": "/etc"}, "'/etc' is no plain name"),
        ({"shards": [{"file": "../x.pkl", "count": 1}]}, "'../x.pkl' is no plain name"),
        ({"shards": [{"file": "absent.pkl", "count": 1}]}, "absent.pkl: No such file or directory"),
        ({"shards": 3}, "is no index of cached features"),
        ({"dtype": "float64"}, "is no index of cached features"),
        ({"shards": [{"file": "features_ucf101_train_shard_00000.pkl", "count": 3}]}, "holds 2 videos, and"),
    ],
)
def test_a_wrong_index_is_refused(tmp_path, changed, message):
    index = write_cache(tmp_path)
    index.write_text(json.dumps(json.loads(index.read_text()) | changed))
    done = run(index, tmp_path / "out")
    assert done.exit_code == 2
    assert message in done.output
