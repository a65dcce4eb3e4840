"""Figures and table of heads against scikit-learn and counts by hand."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from vidkd.errors import UserError
from vidkd.evaluate.statistics import wilson
from vidkd.methods import evaluate as road
from vidkd.methods.evaluate import Evaluated
from vidkd.methods.inputs import Inputs
from vidkd.methods.needs import Needs
from vidkd.methods.probes.table import figures, tabulate

CLASSES = ["down", "left", "right", "up"]
PAIRS = {"left": "right", "up": "down"}
COLUMNS = [
    "backbone", "head", "label", "seeds", "classes", "top1", "top1_std", "low", "high", "chance",
    "above_chance", "mean_class", "mean_class_std", "params", "pairs", "pairs_low", "pairs_high", "clips",
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
    """The `metrics.json` of a run, in a folder of its own."""
    folder.mkdir(parents=True)
    table.to_csv(folder / "predictions.csv", index=False)
    (folder / "config.json").write_text(json.dumps(about))
    (folder / "efficiency.json").write_text(json.dumps({"params": about["params"]}))
    files = {name.stem: (str(name),) for name in folder.iterdir()}
    inputs, metrics = Inputs(Needs(results=files)), folder / "metrics.json"
    run = ".".join(about[name] for name in ("backbone", "head", "label"))
    road.evaluate("probes", run, about["seed"], inputs, {"pairs": pairs or {}}, metrics)
    return metrics


def measure(table, pairs):
    return figures(Evaluated(table, config(), CLASSES, Inputs(Needs()), {"pairs": pairs}))


def make_table(metrics, pairs):
    return tabulate(Inputs(Needs(results={"metrics": tuple(map(str, metrics))})), {"pairs": pairs})


def test_figures_are_scikit_learns(tmp_path):
    table = predictions(skill=0.3)
    found = json.loads(evaluate(tmp_path / "a", table, config()).read_text())
    assert found["top1"] == pytest.approx(100 * accuracy_score(table.label_id, table.pred))
    assert found["mean_class"] == pytest.approx(100 * balanced_accuracy_score(table.label_id, table.pred))
    assert (found["n_clips"], found["classes"], found["pairs"]) == (80, CLASSES, None)
    about = [found[name] for name in ("params", "backbone", "head", "label")]
    assert about == [7, "clip", "linear", "motion"]
    assert found["result_gate"]["passed"]


@pytest.mark.parametrize(
    ("labels", "chance"), [([0, 0, 0, 1], 75), ([0, 1, 2, 3], 25), ([0, 1, 2], 100 / 3), ([1, 1], 100)]
)
def test_chance_is_the_largest_class_of_the_test_split(tmp_path, labels, chance):
    table = pd.DataFrame({"video_id": range(len(labels)), "label_id": labels, "pred": labels})
    metrics = evaluate(tmp_path / "a", table, config())
    assert json.loads(metrics.read_text())["chance"] == pytest.approx(chance)


def test_within_a_pair_its_two_scores_decide():
    rows = [
        # label, scores of down, left, right, up
        (1, 0.0, 0.3, 0.1, 0.6),  # left over right: right, though up has more
        (2, 0.0, 0.3, 0.1, 0.6),  # left over right: wrong
        (3, 0.2, 0.7, 0.0, 0.1),  # down over up: wrong
        (0, 0.2, 0.7, 0.0, 0.2),  # both alike: half
    ]
    table = pd.DataFrame(rows, columns=["label_id", "s_0", "s_1", "s_2", "s_3"]).assign(pred=0)
    found = measure(table, PAIRS)
    assert (found["pairs"], found["pairs_clips"]) == (pytest.approx(100 * 1.5 / 4), 4)
    found = measure(table, {"left": "right"})
    assert (found["pairs"], found["pairs_clips"]) == (pytest.approx(50), 2)


def preferring(clips):
    """Scores for (label, how many clips, how many of them have the higher score on their own class)."""
    rows = []
    for label, count, won in clips:
        own, partner = f"s_{label}", f"s_{[3, 2, 1, 0][label]}"
        rows += [{"label_id": label, own: 0.6 if k < won else 0.1, partner: 0.3} for k in range(count)]
    return (
        pd.DataFrame(rows).reindex(columns=["label_id", "s_0", "s_1", "s_2", "s_3"]).fillna(0).assign(pred=0)
    )


@pytest.mark.parametrize(("left", "right"), [(90, 0), (0, 10), (45, 5), (81, 1)])
def test_a_head_that_is_blind_to_order_has_half_however_many_clips_a_class_has(left, right):
    found = measure(preferring([(1, 90, left), (2, 10, right)]), PAIRS)
    assert found["pairs"] == pytest.approx(50)
    # 4 * 90 * 10 / 100
    assert found["pairs_clips"] == pytest.approx(36)


def test_pairs_weigh_as_many_clips_as_they_are_worth(tmp_path):
    # left, right: (60/90 + 5/10) / 2 = 7/12, of weight 36.
    table = preferring([(1, 90, 60), (2, 10, 5), (3, 12, 9), (0, 12, 6)])
    # up, down: (9/12 + 6/12) / 2 = 5/8, of weight 24. Together (36 * 7/12 + 24 * 5/8) / 60 = 36/60.
    metrics = evaluate(tmp_path / "a", table, config(), PAIRS)
    found = json.loads(metrics.read_text())
    assert (found["pairs"], found["pairs_clips"]) == (pytest.approx(60), pytest.approx(60))
    row = make_table([metrics], PAIRS).iloc[0]
    # Wilson's interval of 36 of 60, by scipy.
    interval = binomtest(36, 60).proportion_ci(method="wilson")
    assert (row["pairs_low"], row["pairs_high"]) == (
        pytest.approx(100 * interval.low, abs=1e-4),
        pytest.approx(100 * interval.high, abs=1e-4),
    )


def test_a_pair_with_a_class_that_has_no_clips_does_not_count():
    found = measure(preferring([(1, 8, 8), (3, 4, 1), (0, 4, 2)]), PAIRS)
    # up, down alone: (1/4 + 2/4) / 2.
    assert (found["pairs"], found["pairs_clips"]) == (pytest.approx(37.5), 8)
    found = measure(preferring([(1, 8, 8)]), PAIRS)
    assert (found["pairs"], found["pairs_clips"]) == (None, 0)


def test_a_head_that_says_one_class_is_marked_failed(tmp_path):
    metrics = evaluate(tmp_path / "a", predictions().assign(pred=2), config())
    assert json.loads(metrics.read_text())["result_gate"] == {
        "passed": False,
        "reason": "every clip gets the same class",
    }


def test_the_table(tmp_path):
    tables = [predictions(seed, skill=0.4) for seed in (0, 1, 2)]
    files = [evaluate(tmp_path / f"a/seed{k}", table, config(k), PAIRS) for k, table in enumerate(tables)]
    shape = config(label="shape", head="attentive", classes=["disc", "ring", "bar"])
    files.append(evaluate(tmp_path / "b/seed0", predictions(5, skill=0, classes=3), shape, PAIRS))
    table = make_table(files, PAIRS)
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
    assert pd.isna([other["top1_std"], other["pairs"], other["pairs_low"]]).all()
    metrics = json.loads((tmp_path / "a/seed1/metrics.json").read_text())
    assert (metrics["run"], metrics["seed"]) == ("clip.linear.motion", 1)
    assert metrics["top1"] == pytest.approx(tops[1])


def test_names_of_classes_are_text(tmp_path):
    pairs = {"1": "01"}
    file = evaluate(tmp_path / "a", predictions(), config(classes=["nan", "1", "01", "true"]), pairs)
    assert make_table([file], pairs)["pairs"].notna().all()


@pytest.mark.parametrize("partner", ["lift", "disc"])
def test_a_pair_that_is_not_of_one_label_is_named(tmp_path, partner):
    shape = config(label="shape", classes=["disc", "ring", "bar"])
    files = [
        evaluate(tmp_path / "a", predictions(), config()),
        evaluate(tmp_path / "b", predictions(classes=3), shape),
    ]
    sentence = (
        rf"pairs: left: {partner} are not two classes of one label \(motion, shape\): correct the names"
    )
    with pytest.raises(UserError, match=sentence):
        make_table(files, {"up": "down", "left": partner})


def test_no_predictions_are_an_error(tmp_path):
    with pytest.raises(UserError, match="has no predictions: delete it and run again"):
        evaluate(tmp_path / "a", predictions().iloc[:0], config())
    assert not (tmp_path / "a/metrics.json").exists()
