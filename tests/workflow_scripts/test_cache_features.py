from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from tests.backbones.checkpoints import make_videomae
from vidkd.artefacts import file_sha256
from vidkd.features.store import FeatureStore
from vidkd.paths import sidecar
from workflow_scripts.cache_features import main


@pytest.fixture
def words(stores, tmp_path):
    make_videomae(tmp_path / "weights")
    return [
        "--backbone", "small", "--kind", "videomae", "--folder", str(tmp_path / "weights"),
        "--frames-store", str(stores.val[0]), "--output", str(tmp_path / "out/shard_0.h5"),
    ]  # fmt: skip


def run(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def test_everything_that_extraction_can_be_told(words, stores, tmp_path):
    done = run(
        *words, "--batch", 6, "--workers", 1, "--frames", 4, "--fp16", "--tokens", "full", "--views", 2,
        "--crops", 3,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    store = FeatureStore([tmp_path / "out/shard_0.h5"])
    store.verify()
    assert store.shape == (2 * 3 * 2 * 16, 64)
    assert (store.meta.frames, store.meta.tokens, store.meta.dtype) == (4, "full", "float16")
    assert store.by_view(store.rows([0])).shape == (1, 2, 3, 32, 64)


@pytest.mark.parametrize(("tokens", "steps"), [("full", 64), ("time", 4), ("clip", 1)])
def test_tokens(tokens, steps, words, tmp_path):
    assert run(*words, "--tokens", tokens).exit_code == 0
    assert FeatureStore([tmp_path / "out/shard_0.h5"]).shape == (steps, 64)


def test_the_sidecar_has_every_file_that_was_read(words, stores, tmp_path):
    assert run(*words).exit_code == 0
    record = json.loads((tmp_path / "out" / sidecar("shard_0.h5")).read_text())
    files = [stores.val[0], *(tmp_path / "weights").iterdir()]
    assert record["inputs"] == {str(file): file_sha256(file) for file in files}


def test_shards_are_those_of_the_data(words, tmp_path):
    """docs/features.md says what takes the place of the original project's --shard_size."""
    done = run(*words, "--shard-size", 1000)
    assert done.exit_code == 2
    assert "--shard-size" in done.output
    assert not (tmp_path / "out").exists()
