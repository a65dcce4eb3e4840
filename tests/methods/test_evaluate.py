from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import accuracy_score, top_k_accuracy_score

from vidkd.engine.accuracy import top_k
from vidkd.errors import UserError
from vidkd.methods.evaluate import evaluate as evaluate_run
from vidkd.methods.inputs import Inputs
from vidkd.methods.needs import Needs


def evaluate(folder, table):
    """The `metrics.json` of an ensemble of FFN, which has no configuration."""
    table.to_csv(folder / "p.csv", index=False)
    (folder / "e.json").write_text(json.dumps({"params": 7, "gflops": {"4": 0.5}}))
    (folder / "classes.json").write_text(json.dumps(["ant", "bee", "cat"]))
    results = {"predictions": (str(folder / "p.csv"),), "efficiency": (str(folder / "e.json"),)}
    inputs = Inputs(Needs(results=results, classes=str(folder / "classes.json")))
    evaluate_run("ffn", "ensemble", 3, inputs, {}, folder / "m.json")
    return json.loads((folder / "m.json").read_text())


def test_accuracy_is_scikit_learns(tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"video_id": range(50), "label_id": rng.integers(3, size=50)})
    table["pred_4f"], table["pred_8f"] = rng.integers(3, size=50), table["label_id"]
    found = evaluate(tmp_path, table)
    assert found["accuracy"]["4"] == pytest.approx(100 * accuracy_score(table.label_id, table.pred_4f))
    assert (found["accuracy"]["8"], found["frames"]) == (100, 8)
    assert (found["method"], found["run"], found["seed"]) == ("ffn", "ensemble", 3)
    assert (found["n_clips"], found["params"], found["gflops"]) == (50, 7, {"4": 0.5})
    assert (found["top1"], found["per_class"]) == (100, {"ant": 100, "bee": 100, "cat": 100})
    assert found["result_gate"]["passed"]


def test_a_run_that_says_one_class_at_a_count_is_marked_failed(tmp_path):
    table = pd.DataFrame(
        {"video_id": range(4), "label_id": [0, 1, 0, 0], "pred_4f": 0, "pred_8f": [0, 1, 0, 1]}
    )
    gate = evaluate(tmp_path, table)["result_gate"]
    assert not gate["passed"]
    assert "same class at 4 frames" in gate["reason"]


def test_no_predictions_are_an_error(tmp_path):
    with pytest.raises(UserError, match="no predictions"):
        evaluate(tmp_path, pd.DataFrame({"video_id": [], "label_id": [], "pred_4f": []}))
    assert not (tmp_path / "m.json").exists()


def test_top_k_is_scikit_learns():
    generator = torch.Generator().manual_seed(0)
    scores, labels = torch.randn(40, 6, generator=generator), torch.randint(6, (40,), generator=generator)
    for k in (1, 3):
        expected = top_k_accuracy_score(labels, scores, k=k, labels=range(6))
        assert top_k(scores, labels, k) == pytest.approx(100 * expected)
