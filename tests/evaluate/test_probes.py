"""Figures and table of heads against scikit-learn and counts by hand."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from vidkd.errors import UserError
from vidkd.evaluate.probes import evaluate_probe, measure, tabulate
from vidkd.evaluate.statistics import wilson

CLASSES = ["down", "left", "right", "up"]
PAIRS = {"left": "right", "up": "down"}
COLUMNS = [
    "backbone", "head", "label", "seeds", "classes", "top1", "top1_std", "low", "high", "chance",
    "above_chance", "mean_class", "mean_class_std", "params", "pairs", "pairs_low", "pairs_high",
]  # fmt: skip


def config(seed=0, **more):
    about = {"backbone": "clip", "head": "linear", "label": "motion", "params": 7, "classes": CLASSES}
    return {**about, "seed": seed, **more}


def predictions(seed=0, count=80, skill=1.0, classes=4):
    random = np.random.default_rng(seed)
    label = np.random.default_rng(9).integers(classes, size=count)
    score = random.random((count, classes)) + skill * np.eye(classes)[label]
    score /= score.sum(1, keepdims=True)
    table = pd.DataFrame({"video_id": [f"{n:03d}" for n in range(count)], "label_id": label})
    table["pred"] = score.argmax(1)
    return table.join(pd.DataFrame(score, columns=[f"s_{k}" for k in range(classes)]))


def evaluate(folder, table, about, pairs=None):
    folder.mkdir(parents=True)
    table.to_csv(folder / "predictions.csv", index=False)
    (folder / "config.json").write_text(json.dumps(about))
    files = (folder / name for name in ("predictions.csv", "config.json", "metrics.json"))
    evaluate_probe(*files, pairs or {})
    return folder / "metrics.json"


def test_figures_are_scikit_learns():
    table = predictions(skill=0.3)
    found = measure(table, config(), {})
    assert found["top1"] == pytest.approx(100 * accuracy_score(table.label_id, table.pred))
    assert found["mean_class"] == pytest.approx(100 * balanced_accuracy_score(table.label_id, table.pred))
    assert (found["n_clips"], found["classes"], found["pairs"]) == (80, CLASSES, None)
    assert found["result_gate"]["passed"]


@pytest.mark.parametrize(("labels", "chance"), [([0, 0, 0, 1], 75), ([0, 1, 2, 3], 25), ([0, 1, 2], 100 / 3)])
def test_chance_is_the_largest_class_or_one_of_all(labels, chance):
    table = pd.DataFrame({"label_id": labels, "pred": labels})
    assert measure(table, config(), {})["chance"] == pytest.approx(chance)


def test_chance_of_a_test_split_that_lacks_classes_is_its_largest():
    table = pd.DataFrame({"label_id": [1, 1], "pred": [1, 1]})
    assert measure(table, config(), {})["chance"] == 100


def test_within_a_pair_its_two_scores_decide():
    rows = [
        # label, scores of down, left, right, up
        (1, 0.0, 0.3, 0.1, 0.6),  # left over right: right, though up has more
        (2, 0.0, 0.3, 0.1, 0.6),  # left over right: wrong
        (3, 0.2, 0.7, 0.0, 0.1),  # down over up: wrong
        (0, 0.2, 0.7, 0.0, 0.2),  # both alike: half
    ]
    table = pd.DataFrame(rows, columns=["label_id", "s_0", "s_1", "s_2", "s_3"]).assign(pred=0)
    found = measure(table, config(), PAIRS)
    assert (found["pairs"], found["pairs_clips"]) == (pytest.approx(100 * 1.5 / 4), 4)
    found = measure(table, config(), {"left": "right"})
    assert (found["pairs"], found["pairs_clips"]) == (pytest.approx(50), 2)


def test_a_head_that_says_one_class_is_marked_failed():
    table = predictions().assign(pred=2)
    assert measure(table, config(), {})["result_gate"] == {
        "passed": False,
        "reason": "every clip gets the same class",
    }


def test_the_table(tmp_path):
    tables = [predictions(seed, skill=0.4) for seed in (0, 1, 2)]
    files = [evaluate(tmp_path / f"a/seed{k}", table, config(k), PAIRS) for k, table in enumerate(tables)]
    shape = config(label="shape", head="attentive", classes=["disc", "ring", "bar"])
    files.append(evaluate(tmp_path / "b/seed0", predictions(5, skill=0, classes=3), shape, PAIRS))
    tabulate(files, PAIRS, tmp_path / "probes.csv")
    table = pd.read_csv(tmp_path / "probes.csv")
    assert list(table) == COLUMNS
    motion, other = table.to_dict("records")
    tops = [100 * accuracy_score(t.label_id, t.pred) for t in tables]
    assert (motion["label"], motion["seeds"], motion["classes"], motion["params"]) == ("motion", 3, 4, 7)
    assert motion["top1"] == pytest.approx(np.mean(tops), abs=1e-4)
    assert motion["top1_std"] == pytest.approx(np.std(tops, ddof=1), abs=1e-4)
    # Seeds share the 80 clips: three of them make no interval narrower.
    low, high = wilson(np.mean(tops) / 100, 80)
    assert (motion["low"], motion["high"]) == (
        pytest.approx(100 * low, abs=1e-4),
        pytest.approx(100 * high, abs=1e-4),
    )
    assert motion["above_chance"]
    assert motion["pairs_low"] < motion["pairs"] < motion["pairs_high"]
    assert (other["label"], other["seeds"], other["head"]) == ("shape", 1, "attentive")
    assert not other["above_chance"]
    assert np.isnan([other["top1_std"], other["pairs"], other["pairs_low"]]).all()
    metrics = json.loads((tmp_path / "a/seed1/metrics.json").read_text())
    assert (metrics["variant"], metrics["seed"]) == ("clip.linear.motion", 1)
    assert metrics["top1"] == pytest.approx(tops[1])


def test_names_of_classes_are_text(tmp_path):
    pairs = {"1": "01"}
    file = evaluate(tmp_path / "a", predictions(), config(classes=["nan", "1", "01", "true"]), pairs)
    tabulate([file], pairs, tmp_path / "probes.csv")
    assert pd.read_csv(tmp_path / "probes.csv")["pairs"].notna().all()


def test_a_pair_of_no_label_is_named(tmp_path):
    file = evaluate(tmp_path / "a", predictions(), config())
    with pytest.raises(UserError, match=r"probes\.evaluate\.pairs: no label has the class lift$"):
        tabulate([file], {"left": "lift"}, tmp_path / "probes.csv")
    assert not (tmp_path / "probes.csv").exists()


def test_no_predictions_are_an_error(tmp_path):
    with pytest.raises(UserError, match="has no predictions: delete it and run again"):
        evaluate(tmp_path / "a", predictions().iloc[:0], config())
    assert not (tmp_path / "a/metrics.json").exists()
