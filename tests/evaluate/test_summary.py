"""The summary of all methods, each figure worked out a second way from the files alone."""

from __future__ import annotations

import csv
import json
import statistics

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, norm
from sklearn import metrics as sk

from tests.report.results import BASELINES, CLASSES, CLIPS, SURE, write_results
from vidkd.evaluate.statistics import wilson_percent
from vidkd.evaluate.summary import group_runs, summarise, tabulate_classes, tabulate_costs, tabulate_gates


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def metrics(root):
    return write_results(root)


@pytest.fixture(scope="module")
def summary(metrics):
    return summarise(group_runs(metrics), BASELINES).set_index(["method", "variant"])


def rows_of(root, method, variant, seed):
    """Labels, predictions and scores of a run, read without pandas."""
    with (root / method / variant / f"seed{seed}" / "predictions.csv").open() as stream:
        rows = sorted(csv.DictReader(stream), key=lambda row: row["video_id"])
    pred, score = ("pred_8f", "s8_{}") if method == "ffn" else ("pred", "s_{}")
    labels = np.array([int(row["label_id"]) for row in rows])
    scores = np.array([[float(row[score.format(k)]) for k in range(len(CLASSES))] for row in rows])
    return labels, np.array([int(row[pred]) for row in rows]), scores


@pytest.mark.parametrize(("method", "variant"), [(m, v) for m, names in SURE.items() for v in names])
def test_figures_by_another_route(root, summary, method, variant):
    row = summary.loc[(method, variant)]
    runs = [rows_of(root, method, variant, seed) for seed in (0, 1)]
    figures = {
        "top1": [sk.accuracy_score(y, p) for y, p, _ in runs],
        "top5": [sk.top_k_accuracy_score(y, s, k=5, labels=range(len(CLASSES))) for y, _, s in runs],
        "mean_class": [sk.balanced_accuracy_score(y, p) for y, p, _ in runs],
        "f1": [sk.f1_score(y, p, average="macro") for y, p, _ in runs],
        "f1_weighted": [sk.f1_score(y, p, average="weighted") for y, p, _ in runs],
        "ap": [sk.average_precision_score(np.eye(len(CLASSES))[y], s) for y, _, s in runs],
    }
    for name, values in figures.items():
        assert row[name] == pytest.approx(100 * statistics.mean(values)), name
        assert row[f"{name}_std"] == pytest.approx(100 * statistics.stdev(values)), name
    assert (row.seeds, row.clips, row.frames) == (2, CLIPS, 8)
    assert row.gate


def test_the_interval_is_that_of_a_bootstrap_over_clips(root, summary):
    rights = [y == p for y, p, _ in (rows_of(root, "student", "distilled", seed) for seed in (0, 1))]
    of_clip = np.mean(rights, axis=0)
    means = np.random.default_rng(9).choice(of_clip, size=(20_000, CLIPS)).mean(axis=1)
    row = summary.loc[("student", "distilled")]
    ends = 100 * np.quantile(means, [0.025, 0.975])
    assert [row.bootstrap_low, row.bootstrap_high] == pytest.approx(ends, abs=0.7)
    share, z2 = np.mean(rights), norm.ppf(0.975) ** 2
    half = np.sqrt(z2 * share * (1 - share) / CLIPS + z2**2 / (4 * CLIPS**2)) / (1 + z2 / CLIPS)
    middle = (share + z2 / (2 * CLIPS)) / (1 + z2 / CLIPS)
    assert [row.low, row.high] == pytest.approx([100 * (middle - half), 100 * (middle + half)])


def test_gains_are_of_the_same_clips_and_seeds(root, summary):
    for method, names in SURE.items():
        (other,) = set(names) - {BASELINES[method]}
        row = summary.loc[(method, other)]
        by_seed = []
        for seed in (0, 1):
            y, one, _ = rows_of(root, method, other, seed)
            _, base, _ = rows_of(root, method, BASELINES[method], seed)
            by_seed.append((one == y).astype(int) - (base == y))
        total = np.sum(by_seed, axis=0)
        assert row.baseline == BASELINES[method]
        assert row.delta == pytest.approx(100 * np.mean(by_seed))
        assert row.delta_low < row.delta < row.delta_high
        more, fewer = int((total > 0).sum()), int((total < 0).sum())
        assert row.p_mcnemar == pytest.approx(binomtest(more, more + fewer).pvalue)
        assert row.p_holm == row.p, "one comparison"
        signs = np.random.default_rng(4).choice([-1, 1], size=(20_000, len(total)))
        assert row.p == pytest.approx(np.mean(np.abs(signs @ total) >= abs(total.sum())), abs=0.02)
        assert np.isnan(summary.loc[(method, BASELINES[method])].delta)
    assert summary.loc[("student", "distilled")].p_holm < 0.001
    assert summary.loc[("trimodel", "both")].p_holm > 0.05


def test_without_a_baseline_nothing_is_compared(metrics):
    table = summarise(group_runs(metrics), {})
    assert "delta" not in table
    assert len(table) == 8


def test_each_class_by_another_route(root, metrics):
    table = tabulate_classes(group_runs(metrics), {m: root / m / "classes.json" for m in SURE})
    assert len(table) == len(CLASSES) * 8
    runs = [rows_of(root, "fusion", "converted", seed) for seed in (0, 1)]
    own = table[(table.method == "fusion") & (table.variant == "converted")]
    assert own["class"].tolist() == CLASSES
    for name, score in (("precision", sk.precision_score), ("recall", sk.recall_score), ("f1", sk.f1_score)):
        expected = np.mean(
            [score(y, p, average=None, labels=range(len(CLASSES))) for y, p, _ in runs], axis=0
        )
        assert own[name].to_numpy() == pytest.approx(100 * expected)
    assert own["clips"].sum() == CLIPS


def test_costs_stand_beside_accuracy(root, metrics):
    summary = summarise(group_runs(metrics), {})
    table = tabulate_costs({m: root / m / "latency.csv" for m in SURE}, summary)
    row = table.set_index(["method", "variant"]).loc[("student", "ce")]
    assert (row.params, row.ms_1, row.ms_2, row.size_mb) == (1200000, 10.5, 7.25, 4.8)
    assert row.top1 == summary.set_index(["method", "variant"]).loc[("student", "ce")].top1


def test_parts_of_an_exported_network_stand_beside_no_accuracy(root, metrics, tmp_path):
    parts = "variant,params,ms_1\n(student),10,1.5\nconverted,30,2.5\n(teacher vivit),50,4.5\n"
    (tmp_path / "latency.csv").write_text(parts)
    summary = summarise(group_runs(metrics), {})
    table = tabulate_costs({"fusion": tmp_path / "latency.csv"}, summary).set_index("variant")
    assert list(table.index) == ["(student)", "converted", "(teacher vivit)"]
    known = summary.set_index(["method", "variant"]).loc[("fusion", "converted")].top1
    assert table.loc["converted"].top1 == known
    assert table["top1"].drop("converted").isna().all()


def test_intervals_are_of_the_clips_that_all_seeds_have(tmp_path):
    metrics = write_results(tmp_path, ("student",), (0, 1))
    file = metrics[0].with_name("predictions.csv")
    pd.read_csv(file).iloc[30:].to_csv(file, index=False)
    row = summarise(group_runs(metrics), {}).set_index("variant").loc["ce"]
    runs = [json.loads(path.read_text()) for path in metrics[:2]]
    y, p, _ = rows_of(tmp_path, "student", "ce", 1)
    first = rows_of(tmp_path, "student", "ce", 0)[1]
    right = (y[30:] == first).sum() + (y[30:] == p[30:]).sum()
    assert row.clips == CLIPS - 30
    assert [row.low, row.high] == pytest.approx(wilson_percent(50 * right / (CLIPS - 30), CLIPS - 30))
    # A figure of a run is computed once, of the run's own clips.
    assert row.top1 == pytest.approx((runs[0]["top1"] + runs[1]["top1"]) / 2)


def test_figures_are_those_of_the_runs(tmp_path):
    metrics = write_results(tmp_path, ("student",), (0, 1))
    for path, f1 in zip(metrics[:2], (10, 30), strict=True):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"f1": f1, "ap": None}))
    row = summarise(group_runs(metrics), {}).set_index("variant").loc["ce"]
    assert (row.f1, row.f1_std) == (20, pytest.approx(200**0.5))
    assert np.isnan(row.ap)


def test_a_class_that_one_seed_predicts_has_no_mean_precision(tmp_path):
    metrics = write_results(tmp_path, ("student",), (0, 1))
    file = metrics[0].with_name("predictions.csv")
    table = pd.read_csv(file)
    table.assign(pred=table["pred"].replace(3, 0)).to_csv(file, index=False)
    classes = {"student": tmp_path / "student/classes.json"}
    found = tabulate_classes(group_runs(metrics), classes).query("variant == 'ce'").reset_index()
    assert np.isnan(found.loc[3, "precision"])
    assert found.loc[3, "recall"] > 0


def test_gates_have_a_row_for_each_run(metrics):
    table = tabulate_gates(metrics)
    assert len(table) == 16
    assert table["passed"].all()
    assert table.iloc[-1].to_dict() == {
        "method": "trimodel", "variant": "both", "seed": 1, "passed": True, "reason": ""
    }  # fmt: skip
