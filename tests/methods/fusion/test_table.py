"""Figures and comparisons of fusion heads against scikit-learn, and plain loops over clips and seeds."""

from __future__ import annotations

import json
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from vidkd.errors import UserError
from vidkd.methods.evaluate import evaluate as evaluate_run
from vidkd.methods.fusion.table import inputs_in_words, tabulate
from vidkd.methods.inputs import Inputs
from vidkd.methods.needs import Needs

CLIPS = 300
TEACHERS = ("videomae", "vivit")
COLUMNS = [
    "variant", "inputs", "seeds", "clips", "top1", "top1_std", "low", "high", "clips_compared",
    "delta_vs_student", "delta_vs_student_std", "delta_low", "delta_high", "p_vs_student", "p_holm",
    "gap_closed", "gap_low", "gap_high", "mean_class", "mean_class_std", "chance", "params",
    "gate_videomae", "gate_vivit",
]  # fmt: skip
LABEL = np.random.default_rng(9).integers(4, size=CLIPS)
HARD = np.random.default_rng(8).random(CLIPS)
"""The same clips are hard for every head."""


def predictions(skill, seed, clips=CLIPS):
    random = np.random.default_rng([seed, int(100 * skill)])
    right = HARD[:clips] + 0.2 * random.normal(size=clips) < skill
    wrong = (LABEL[:clips] + random.integers(1, 4, clips)) % 4
    pred = np.where(right, LABEL[:clips], wrong)
    names = [f"{n:03d}" for n in range(clips)]
    return pd.DataFrame({"video_id": names, "label_id": LABEL[:clips], "pred": pred})


def config(name, seed, kind="converted", teachers=TEACHERS, **more):
    sources = {"vjepa2": {"kind": "student"}, **{teacher: {"kind": kind} for teacher in teachers}}
    about = {
        "run": name, "seed": seed, "params": 7, "classes": list("abcd"), "sources": sources, "trial": 1,
        "settings": {"converter": "resampler"}, "gates": {teacher: 0.25 + seed for teacher in teachers},
        "trials": [{"values": {"lr": lr}, "val_top1": 50 + lr} for lr in (0.1, 0.2)],
    }  # fmt: skip
    return about | more


def evaluate(folder, table, about):
    folder.mkdir(parents=True)
    table.to_csv(folder / "predictions.csv", index=False)
    (folder / "config.json").write_text(json.dumps(about))
    (folder / "efficiency.json").write_text(json.dumps({"params": about["params"]}))
    names = {"predictions": "csv", "config": "json", "efficiency": "json"}
    results = {name: (f"{folder}/{name}.{kind}",) for name, kind in names.items()}
    metrics = folder / "metrics.json"
    evaluate_run("fusion", about["run"], about["seed"], Inputs(Needs(results=results)), {}, metrics)
    return metrics


def tabulated(paths, baseline="student"):
    return tabulate(Inputs(Needs(results={"metrics": tuple(map(str, paths))})), {"baseline": baseline})


SKILLS = {"student": 0.5, "converted": 0.56, "real": 0.7, "random": 0.51}
KINDS = {"student": (), "real": TEACHERS, "converted": TEACHERS, "random": TEACHERS}


def runs(folder, seeds=(0, 1, 2), skills=SKILLS):
    return [
        evaluate(
            folder / f"{name}/seed{seed}",
            predictions(skill, seed),
            config(name, seed, "real" if name == "real" else "converted", KINDS[name]),
        )
        for name, skill in skills.items()
        for seed in seeds
    ]


def table_of(paths, baseline="student"):
    table = tabulated(paths, baseline)
    assert list(table) == COLUMNS
    return table.set_index("variant")


def test_figures_of_a_run_are_scikit_learns(tmp_path):
    table = predictions(0.6, 3)
    found = json.loads(evaluate(tmp_path / "run", table, config("all", 3)).read_text())
    assert found["top1"] == pytest.approx(100 * accuracy_score(table.label_id, table.pred))
    assert found["mean_class"] == pytest.approx(100 * balanced_accuracy_score(table.label_id, table.pred))
    assert found["chance"] == pytest.approx(100 * np.bincount(LABEL).max() / CLIPS)
    said = (found["method"], found["run"], found["seed"], found["params"])
    assert said == ("fusion", "all", 3, 7)
    assert (found["n_clips"], found["real_teachers"]) == (CLIPS, 0)
    assert found["trial"] == {"lr": 0.2, "val_top1": 50.2}
    assert found["result_gate"]["passed"]


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        ({"vjepa2": "student"}, "vjepa2"),
        ({"vjepa2": "student", "a": "converted", "b": "converted"}, "vjepa2 + linear(a, b)"),
        ({"a": "real", "b": "real"}, "real(a, b)"),
        ({"vjepa2": "student", "a": "finetuned"}, "vjepa2 + finetuned linear(a)"),
    ],
)
def test_inputs_are_told_in_words(kinds, words):
    assert inputs_in_words(kinds, "linear") == words


def test_converters_are_called_what_the_features_say(tmp_path):
    """By hand --converters wins, and the settings still have their default."""
    about = config("by_hand", 0)
    about["sources"]["vivit"]["meta"] = {"preprocessing": json.dumps({"converter": "random"})}
    path = evaluate(tmp_path / "run", predictions(0.5, 0), about)
    assert json.loads(path.read_text())["inputs"] == "vjepa2 + random(videomae, vivit)"


def test_figures_of_the_table(tmp_path):
    table = table_of(runs(tmp_path))
    assert list(table.index) == list(SKILLS)
    for name, skill in SKILLS.items():
        tables, row = [predictions(skill, seed) for seed in (0, 1, 2)], table.loc[name]
        tops = [100 * accuracy_score(t.label_id, t.pred) for t in tables]
        assert (row["seeds"], row["clips"], row["params"]) == (3, CLIPS, 7)
        assert (row["top1"], row["top1_std"]) == pytest.approx(
            (np.mean(tops), np.std(tops, ddof=1)), abs=1e-4
        )
        interval = binomtest(round(np.mean(tops) / 100 * CLIPS), CLIPS).proportion_ci(method="wilson")
        assert row["low"] < row["top1"] < row["high"]
        assert row["high"] - row["low"] == pytest.approx(100 * (interval.high - interval.low), abs=0.5)
        classes = [100 * balanced_accuracy_score(t.label_id, t.pred) for t in tables]
        assert row["mean_class"] == pytest.approx(np.mean(classes), abs=1e-4)
    assert table.loc["converted", "inputs"] == "vjepa2 + resampler(videomae, vivit)"
    assert table.loc["real", ["gate_videomae", "gate_vivit"]].tolist() == [1.25, 1.25]
    compared = COLUMNS[COLUMNS.index("delta_vs_student") : COLUMNS.index("mean_class")]
    assert table.loc["student", [*compared, "gate_vivit"]].isna().all()


def by_hand(skill, seeds=(0, 1, 2)):
    """For each clip the mean over seeds of being right where the student is not, minus the reverse."""
    found = np.zeros(CLIPS)
    for seed in seeds:
        one, other = predictions(skill, seed), predictions(SKILLS["student"], seed)
        for n in range(CLIPS):
            found[n] += int(one.pred[n] == LABEL[n]) - int(other.pred[n] == LABEL[n])
    return found / len(seeds)


def test_variants_are_compared_clip_by_clip_with_the_same_seeds(tmp_path):
    table = table_of(runs(tmp_path))
    upper = by_hand(SKILLS["real"]).mean()
    for name in ("converted", "real", "random"):
        row, difference = table.loc[name], by_hand(SKILLS[name])
        assert row["clips_compared"] == CLIPS
        assert row["delta_vs_student"] == pytest.approx(100 * difference.mean(), abs=1e-4)
        assert row["delta_vs_student"] == pytest.approx(row["top1"] - table.loc["student", "top1"], abs=1e-3)
        by_seed = [100 * by_hand(SKILLS[name], (seed,)).mean() for seed in (0, 1, 2)]
        assert row["delta_vs_student_std"] == pytest.approx(np.std(by_seed, ddof=1), abs=1e-4)
        half = 1.96 * 100 * difference.std() / np.sqrt(CLIPS)
        width = row["delta_high"] - row["delta_low"]
        assert width == pytest.approx(2 * half, rel=0.1)
        # Signs that are drawn elsewhere.
        random = np.random.default_rng(5).choice([-1, 1], (20000, CLIPS)) @ difference
        expected = np.mean(np.abs(random) >= abs(difference.sum()) - 1e-9)
        assert row["p_vs_student"] == pytest.approx(expected, abs=0.02)
        assert row["gap_closed"] == pytest.approx(100 * difference.mean() / upper, abs=1e-3)
        assert row["gap_low"] <= row["gap_closed"] <= row["gap_high"]
    assert table.loc["real", ["gap_low", "gap_high"]].tolist() == [100, 100]
    assert table.loc["random"].p_vs_student > 0.05 > table.loc["converted"].p_holm
    # Three comparisons: the smallest counts three times, the next twice, none less than one before it.
    p = table["p_vs_student"].dropna().sort_values()
    expected = np.maximum.accumulate([3, 2, 1] * p).clip(upper=1)
    assert table["p_holm"].dropna()[p.index].tolist() == pytest.approx(expected.tolist(), abs=4e-4)


def test_without_a_gap_there_is_no_share_of_it(tmp_path):
    table = table_of(runs(tmp_path, skills=SKILLS | {"real": 0.5}))
    assert table["gap_closed"].isna().all()
    assert table["p_vs_student"].notna().sum() == 3
    paths = [path for path in runs(tmp_path / "b") if "real" not in str(path)]
    assert table_of(paths)["gap_closed"].isna().all()


def test_the_order_of_runs_decides_the_order_of_rows_alone(tmp_path):
    paths = runs(tmp_path)
    one, other = table_of(paths), table_of(paths[::-1])
    pd.testing.assert_frame_equal(one, other.loc[one.index])


def test_one_seed_is_enough(tmp_path):
    row = table_of(runs(tmp_path, seeds=(4,))).loc["converted"]
    assert row["delta_vs_student"] == pytest.approx(100 * by_hand(SKILLS["converted"], (4,)).mean(), abs=1e-4)
    assert np.isnan(row[["top1_std", "delta_vs_student_std"]].astype(float)).all()


def test_few_clips_are_compared_in_full(tmp_path):
    paths = [
        evaluate(tmp_path / name, predictions(1, 0, 6).assign(pred=pred), config(name, 0))
        for name, pred in (("base", (LABEL[:6] + 1) % 4), ("all", LABEL[:6]))
    ]
    row = table_of(paths, "base").loc["all"]
    flips = [abs(sum(signs)) == 6 for signs in product((-1, 1), repeat=6)]
    assert row["p_vs_student"] == pytest.approx(np.mean(flips), abs=1e-4)
    assert (row["delta_vs_student"], row["delta_low"], row["delta_high"]) == (100, 100, 100)


def test_clips_that_one_has_not_are_left_out_and_counted(tmp_path):
    paths = [
        evaluate(tmp_path / "student", predictions(0.5, 0), config("student", 0)),
        evaluate(
            tmp_path / "all", predictions(0.7, 0).iloc[:280].sample(frac=1, random_state=1), config("all", 0)
        ),
    ]
    row = table_of(paths).loc["all"]
    assert (row["clips"], row["clips_compared"]) == (280, 280)
    one, other = predictions(0.7, 0)[:280], predictions(0.5, 0)[:280]
    delta = 100 * (accuracy_score(one.label_id, one.pred) - accuracy_score(other.label_id, other.pred))
    assert row["delta_vs_student"] == pytest.approx(delta, abs=1e-4)


def test_ids_are_text(tmp_path):
    names = ["nan", "007", "7", "NA", "1e3", ""]
    paths = [
        evaluate(tmp_path / name, predictions(skill, 0, 6).assign(video_id=names), config(name, 0))
        for name, skill in (("student", 0.5), ("all", 0.7))
    ]
    assert table_of(paths).loc["all", "clips_compared"] == 6


def test_what_cannot_be_compared_is_refused(tmp_path):
    student = evaluate(tmp_path / "student", predictions(0.5, 0), config("student", 0))
    for name, words, table, seed in (
        ("seed", "seed has the seeds 1 and the baseline student 0: ", predictions(0.7, 1), 1),
        (
            "clips",
            "no test clip in common",
            predictions(0.7, 0).assign(video_id=lambda t: "x" + t.video_id),
            0,
        ),
        (
            "label",
            "'000' has another label",
            predictions(0.7, 0).assign(label_id=lambda t: 3 - t.label_id),
            0,
        ),
    ):
        other = evaluate(tmp_path / name, table, config(name, seed))
        with pytest.raises(UserError, match=words):
            tabulated([student, other])
    with pytest.raises(UserError, match=r"no run is of the baseline alone: .* name one of student$"):
        tabulated([student], "alone")


def test_runs_of_one_variant_are_of_other_seeds_and_the_same_labels(tmp_path):
    paths = runs(tmp_path)
    with pytest.raises(UserError, match=r"^two runs of converted have seed 1: give each run once"):
        tabulated([*paths, tmp_path / "converted/seed1/metrics.json"])
    for name in SKILLS:  # of all variants, so that they agree with each other
        file = tmp_path / name / "seed2/predictions.csv"
        table = pd.read_csv(file, dtype={"video_id": str})
        table.assign(label_id=(table["label_id"] + 1) % 4).to_csv(file, index=False)
    with pytest.raises(UserError, match=r"^video '000' has not the same label .* every seed of student"):
        tabulated(paths)


def test_two_tables_are_the_same(tmp_path):
    paths = runs(tmp_path, seeds=(0, 1))
    pd.testing.assert_frame_equal(tabulated(paths), tabulated(paths))
