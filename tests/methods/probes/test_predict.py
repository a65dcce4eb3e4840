"""What is written of the test split, and that nothing else reads it."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file, save_file

from tests.methods.probes.cached import CLASSES, fit, predict_test, video_ids
from tests.road import files
from vidkd.errors import UserError
from vidkd.methods.probes.predict import load_probe
from vidkd.methods.probes.settings import ProbeRun

SMALL = {"epochs": 2, "batch_size": 16, "attention_heads": 2, "head_width": 4}


def run(cache, folder, head):
    fit(cache, folder, ProbeRun(head=head, attentive=SMALL))
    predict_test(cache, folder)
    return folder


@pytest.mark.parametrize("head", ["linear", "attentive"])
def test_a_row_for_every_test_clip(cache, tmp_path, head):
    table = pd.read_csv(run(cache, tmp_path / "a", head) / "predictions.csv")
    test = cache.test()
    assert list(table) == ["video_id", "label_id", "pred", "s_0", "s_1", "s_2"]
    assert table["video_id"].tolist() == video_ids("test")
    assert table["label_id"].tolist() == test.label_ids.tolist()
    model = load_probe(tmp_path / "a/model.safetensors")
    (feature,) = test.batch(np.arange(len(test))).features.values()
    score = model(feature)
    params = json.loads((tmp_path / "a/config.json").read_text())["params"]
    assert json.loads((tmp_path / "a/efficiency.json").read_text()) == {"params": params}
    assert table["pred"].tolist() == score.argmax(1).tolist()
    found = table[[f"s_{k}" for k in range(len(CLASSES))]].to_numpy()
    np.testing.assert_allclose(found, score.double().softmax(1).numpy(), rtol=1e-4)


@pytest.mark.parametrize("head", ["linear", "attentive"])
def test_the_test_split_is_read_by_the_prediction_alone(cache, tmp_path, head):
    """With features that cannot be used the head is the same, and the prediction stops."""
    wanted = files(run(cache, tmp_path / "a", head))
    for shard in cache.shards["test"]:
        with h5py.File(shard, "r+") as file:
            file["features"][...] = np.nan
    with pytest.raises(UserError, match=r"features are damaged: .* \(test_000, "):
        run(cache, tmp_path / "b", head)
    del wanted["predictions.csv"], wanted["efficiency.json"]
    assert files(tmp_path / "b") == wanted


def test_scores_that_overflow_are_refused(cache, tmp_path):
    """Finite weights, but so large that no logit is: each clip would be of the first class."""
    folder = fit(cache, tmp_path / "a", ProbeRun(head="linear"))
    weights = {name: value.sign() * 3e38 for name, value in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(UserError, match=r"the scores of test_000 are NaN or infinite"):
        predict_test(cache, folder)
    assert not (folder / "predictions.csv").exists()


def test_weights_that_do_not_fit_their_settings_are_refused(cache, tmp_path):
    folder = run(cache, tmp_path / "a", "attentive")
    text = (folder / "config.json").read_text().replace('"head_width": 4', '"head_width": 8')
    (folder / "config.json").write_text(text)
    with pytest.raises(UserError, match="fits only"):
        load_probe(folder / "model.safetensors")
