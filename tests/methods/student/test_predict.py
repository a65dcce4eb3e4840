"""Predictions, their figures, the tables and the times, against scikit-learn and plain counting."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, top_k_accuracy_score
from torch.nn import functional as F

from tests.methods.student.taught import CLASSES, COUNTS, STUDENT, below, open_clips_own
from tests.methods.student.test_train import CE, settings
from vidkd.config.load import canonical
from vidkd.data.frames import FrameStore
from vidkd.errors import UserError
from vidkd.evaluate.student import evaluate_student, tabulate, tabulate_teachers
from vidkd.features.store import FeatureStore
from vidkd.methods.student.attention import attended_clips
from vidkd.methods.student.predict import load_student, predict
from workflow_scripts import draw_attention, draw_confusion, draw_curves, measure_student, predict_student

CENTRES = [1, 3, 5, 7]
"""Middles of four segments of the eight frames that are kept."""

PARTS = ("predictions.csv", "config.json", "efficiency.json", "metrics.json")


def run(taught, folder: Path, chosen=STUDENT, **more) -> Path:
    """Train, predict and evaluate; the metrics."""
    weights = taught.train(folder, chosen, **more)
    predictions, config, efficiency, metrics = (folder / name for name in PARTS)
    predict(
        weights, taught.frames("test"), taught.labels(), taught.head(), taught.features("test"),
        predictions, efficiency,
    )  # fmt: skip
    evaluate_student(predictions, config, efficiency, metrics)
    return metrics


@pytest.fixture(scope="module")
def runs(made_once, tmp_path_factory) -> dict[str, list[Path]]:
    """Metrics of two students with two seeds each."""
    taught, root = below(made_once), tmp_path_factory.mktemp("runs")
    found: dict[str, list[Path]] = {"ce": [], "distilled": []}
    for name, chosen in {"ce": settings(**CE), "distilled": STUDENT}.items():
        about = {"variant": name, "label": "colour"}
        for seed in (0, 1):
            found[name].append(run(taught, root / name / f"seed{seed}", chosen, seed=seed, about=about))
    return found


def every(runs) -> list[Path]:
    return [*runs["ce"], *runs["distilled"]]


def table_of(metrics: Path) -> pd.DataFrame:
    return pd.read_csv(metrics.with_name("predictions.csv"))


def row_values(table, row, letter, count) -> np.ndarray:
    return table.loc[row, [f"{letter}_{number}" for number in range(count)]].astype(float).to_numpy()


def test_predictions_are_what_the_network_and_its_teacher_say(taught, runs):
    path = runs["distilled"][0]
    model, chosen, _ = load_student(path.with_name("model.safetensors"))
    store, table = FrameStore(taught.frames("test")), table_of(path)
    assert list(table["video_id"]) == store.video_ids
    cached = FeatureStore(taught.features("test"))
    teacher_ND = cached.rows(cached.rows_of(store.video_ids)).mean(1)
    side = round(40 * chosen.eval_crop)
    top = (40 - side) // 2
    for row in range(0, COUNTS["test"], 7):
        crop_THWC = store.clip(row, CENTRES)[:, top : top + side, top : top + side]
        crop_TCHW = torch.from_numpy(crop_THWC.copy()).permute(0, 3, 1, 2)
        with torch.inference_mode():
            seen = model(F.interpolate(crop_TCHW, (32, 32), mode="bilinear", antialias=True)[None])
        assert table.loc[row, "pred"] == seen.logits.argmax().item()
        np.testing.assert_allclose(row_values(table, row, "s", 6), seen.logits.softmax(1)[0], atol=1e-4)
        np.testing.assert_allclose(row_values(table, row, "a", 4), seen.attention[0], atol=1e-4)
        cosine = F.cosine_similarity(seen.features[0], teacher_ND[row], dim=0).item()
        assert table.loc[row, "cosine"] == pytest.approx(cosine, abs=1e-4)


def test_the_teachers_predictions_are_its_own(taught, runs):
    own = pd.read_csv(taught.head().with_name("predictions.csv")).set_index("video_id")["pred"]
    for metrics in every(runs):
        table = table_of(metrics).set_index("video_id")
        assert (table["teacher_pred"] == own[table.index]).all()


def test_figures_are_scikit_learns(runs):
    for metrics in every(runs):
        found, table = json.loads(metrics.read_text()), table_of(metrics)
        label, pred = table["label_id"], table["pred"]
        scores = table[[f"s_{k}" for k in range(6)]].to_numpy()
        wanted = {
            "top1": accuracy_score(label, pred),
            "top5": top_k_accuracy_score(label, scores, k=5, labels=range(6)),
            "mean_class": balanced_accuracy_score(label, pred),
            "f1": f1_score(label, pred, average="macro", zero_division=0),
            "agreement": accuracy_score(table["teacher_pred"], pred),
        }
        for name, value in wanted.items():
            assert found[name] == pytest.approx(100 * value), name
        assert found["cosine"] == pytest.approx(table["cosine"].mean())
        assert found["n_clips"] == COUNTS["test"]


@pytest.fixture(scope="module")
def latency(made_once, runs, tmp_path_factory) -> Path:
    taught, output = below(made_once), tmp_path_factory.mktemp("latency") / "latency.csv"
    given = [
        *(f"{name}={of[0].with_name('model.safetensors')}" for name, of in runs.items()),
        f"--teacher-head={taught.head()}", f"--teacher={taught.clip.model_dump_json()}", "--rounds=3",
        f"--output={output}",
    ]  # fmt: skip
    done = CliRunner().invoke(measure_student.main, given)
    assert done.exit_code == 0, done.output
    return output


@pytest.fixture
def tabulated(taught, runs, latency, tmp_path) -> pd.DataFrame:
    tabulate(every(runs), taught.head().with_name("metrics.json"), latency, "ce", tmp_path / "student.csv")
    return pd.read_csv(tmp_path / "student.csv").set_index("variant")


def test_times_are_of_every_network_with_one_and_two_threads(latency):
    table = pd.read_csv(latency)
    assert list(table["variant"]) == ["ce", "distilled", "teacher"]
    for threads in (1, 2):
        low, middle, high = (table[f"ms_{threads}{end}"] for end in ("_low", "", "_high"))
        assert ((low > 0) & (low <= middle) & (middle <= high)).all()


def test_costs_are_those_of_the_tables(taught, runs, latency):
    table = pd.read_csv(latency).set_index("variant")
    metrics = {name: of[0] for name, of in runs.items()}
    metrics["teacher"] = taught.head().with_name("metrics.json")
    for name, path in metrics.items():
        found = json.loads(path.read_text())
        assert table.loc[name, "params"] == found["params"]
        assert table.loc[name, "gflops"] == pytest.approx(found["gflops"])
        assert table.loc[name, "frames"] == found["frames"] == 4
    weights = runs["ce"][0].with_name("model.safetensors")
    assert table.loc["ce", "size_mb"] == weights.stat().st_size / 1e6
    # Four frames of three colours in float32, 32 x 32.
    assert table["peak_mb"].gt(4 * 3 * 32 * 32 * 4 / 1e6).all()


def test_the_table_has_students_beside_their_teacher(taught, runs, tabulated):
    table = tabulated
    assert list(table.index) == ["ce", "distilled", "teacher"]
    right = {}
    for name, paths in runs.items():
        seeds = pd.DataFrame([json.loads(path.read_text()) for path in paths])
        assert table.loc[name, "seeds"] == 2
        for column in ("top1", "top5", "mean_class", "f1", "agreement", "cosine"):
            assert table.loc[name, column] == pytest.approx(seeds[column].mean(), abs=1e-4)
            assert table.loc[name, f"{column}_std"] == pytest.approx(seeds[column].std(ddof=1), abs=1e-4)
        right[name] = np.mean([(of["pred"] == of["label_id"]).mean() for of in map(table_of, paths)])
    gain = 100 * (right["distilled"] - right["ce"])
    assert table.loc["distilled", "delta"] == pytest.approx(gain, abs=1e-3)
    assert table.loc[["ce", "teacher"], ["delta", "p", "p_holm"]].isna().all(axis=None)
    assert table["teacher_view"].to_dict() == {"ce": "none", "distilled": "online", "teacher": "itself"}
    own = pd.read_csv(taught.head().with_name("predictions.csv"))
    label, scores = own["label_id"], own[[f"s_{k}" for k in range(6)]].to_numpy()
    top1 = 100 * accuracy_score(label, own["pred"])
    top5 = 100 * top_k_accuracy_score(label, scores, k=5, labels=range(6))
    f1 = 100 * f1_score(label, own["pred"], average="macro", zero_division=0)
    assert table.loc["teacher", ["top1", "top5", "f1"]].tolist() == pytest.approx([top1, top5, f1], abs=1e-3)


def flipped_p(difference_N) -> float:
    """Share of all flips of signs whose sum is as far from zero: the sum's distribution, clip by clip."""
    share, total = np.ones(1), difference_N.sum()
    for size in abs(difference_N):
        share = np.convolve(share, [0.5, *[0] * (2 * size - 1), 0.5] if size else [1])
    sums = np.arange(len(share)) - len(share) // 2
    return share[abs(sums) >= abs(total)].sum()


def test_p_is_that_of_all_flips_of_signs(runs, tabulated):
    right = {name: sum((of["pred"] == of["label_id"]).astype(int) for of in map(table_of, paths))
             for name, paths in runs.items()}  # fmt: skip
    wanted = flipped_p((right["distilled"] - right["ce"]).to_numpy())
    assert 0 < wanted < 1
    # Of more flips than 9999 as many are drawn: a standard deviation of 0.005 at most.
    assert tabulated.loc["distilled", "p"] == pytest.approx(wanted, abs=0.02)
    assert tabulated.loc["distilled", "p_holm"] == tabulated.loc["distilled", "p"]


def test_the_table_has_parameters_operations_and_times(taught, runs, latency, tabulated):
    measured = pd.read_csv(latency).set_index("variant")
    for column in ("gflops", "ms_1", "ms_2"):
        assert measured[column].gt(0).all()
        assert tabulated[column].to_dict() == pytest.approx(measured[column].to_dict(), abs=1e-4)
    networks = {name: load_student(of[0].with_name("model.safetensors"))[0] for name, of in runs.items()}
    networks["teacher"] = open_clips_own(taught.root / "clip").visual
    wanted = {name: sum(value.numel() for value in of.parameters()) for name, of in networks.items()}
    wanted["teacher"] += 2 * 6 * 24 + 6  # texts of six classes, and a linear classifier
    assert tabulated["params"].to_dict() == wanted


def test_parameters_and_operations_are_those_of_the_networks(taught, runs):
    found = json.loads(runs["ce"][0].read_text())
    model, _, _ = load_student(runs["ce"][0].with_name("model.safetensors"))
    assert found["params"] == sum(value.numel() for value in model.parameters())
    teacher = json.loads(taught.head().with_name("metrics.json").read_text())
    # ViT of width 64, 2 layers, 16 patches and a class token, 4 frames: multiply-adds of its matrices.
    tokens, width = 17, 64
    layer = tokens * (4 * width**2 + 8 * width**2) + 2 * tokens**2 * width
    frame = 16 * 192 * width + 2 * layer + width * 24
    assert teacher["gflops"] == pytest.approx(4 * frame / 1e9, rel=0.02)


def test_teachers_are_tabulated_with_what_the_gate_says(taught, tmp_path):
    runs = {label: taught.head(label).with_name("metrics.json") for label in CLASSES}
    tabulate_teachers(list(runs.values()), tmp_path / "teachers.csv")
    table = pd.read_csv(tmp_path / "teachers.csv")
    assert len(table) == 6
    used = table[table["used"]].set_index("label")
    assert used["gate"].to_dict() == {"colour": True, "motion": False}
    assert "of every video has" in used.loc["motion", "reason"]
    for row in table.to_dict("records"):
        metrics = json.loads(runs[row["label"]].read_text())
        assert row["val_top1"] == pytest.approx(metrics[f"val_{row['head']}"], abs=1e-3)


def test_the_script_says_which_features_are_not_there(taught, runs, tmp_path):
    weights = runs["ce"][0].with_name("model.safetensors")
    given = [
        str(weights), f"--test={taught.frames('test')[0]}", f"--labels={taught.labels()}",
        f"--teacher-head={taught.head()}", f"--teacher-test={taught.features('val')[0]}",
        f"--predictions={tmp_path / 'p.csv'}", f"--efficiency={tmp_path / 'e.json'}",
    ]  # fmt: skip
    done = CliRunner().invoke(predict_student.main, given)
    assert done.exit_code == 2
    assert "target_test_00000" in done.output
    assert list(tmp_path.iterdir()) == []


def test_the_features_of_another_clip_are_refused(taught, runs, tmp_path):
    features = taught.cached_by_another_clip("test", tmp_path)
    weights = runs["ce"][0].with_name("model.safetensors")
    given = weights, taught.frames("test"), taught.labels(), taught.head(), features
    with pytest.raises(UserError, match=r"is a head for other features than these of other"):
        predict(*given, tmp_path / "p.csv", tmp_path / "e.json")
    assert not {"p.csv", "e.json"} & {path.name for path in tmp_path.iterdir()}


def test_attended_clips_are_frames_of_the_store_with_their_weights(taught, runs):
    path = runs["distilled"][0]
    given = path.with_name("predictions.csv"), path.with_name("config.json"), taught.frames("test")
    found = attended_clips(*given, clips=4)
    store, table = FrameStore(taught.frames("test")), table_of(path).set_index("video_id")
    assert len(found) == 4
    for title, images, weights in found:
        name = title.partition(":")[0]
        assert CLASSES["colour"][int(table.loc[name, "label_id"])] in title
        np.testing.assert_array_equal(images, store.clip(store.video_ids.index(name), CENTRES))
        np.testing.assert_allclose(weights, row_values(table, name, "a", 4))


def draw(taught, runs, folder: Path) -> list[Path]:
    curves, confusion, attention = (folder / f"{name}.svg" for name in ("curves", "confusion", "attention"))
    first = runs["distilled"][0]
    asked = {
        draw_curves: [
            *(f"{name}={path.with_name('history.csv')}" for name, of in runs.items() for path in of),
            f"--figure={curves}",
        ],
        draw_confusion: [
            f"teacher={taught.head().with_name('predictions.csv')}",
            *(f"{name}={of[0].with_name('predictions.csv')}" for name, of in runs.items()),
            f"--classes={taught.classes()}", f"--figure={confusion}",
        ],
        draw_attention: [
            f"--predictions={first.with_name('predictions.csv')}",
            f"--config={first.with_name('config.json')}",
            f"--frames-store={taught.frames('test')[0]}", f"--figure={attention}",
        ],
    }  # fmt: skip
    for script, options in asked.items():
        done = CliRunner().invoke(script.main, options)
        assert done.exit_code == 0, done.output
    return [curves, confusion, attention]


def test_figures_are_drawn_and_twice_the_same(taught, runs, tmp_path):
    first, second = ([path.read_text() for path in draw(taught, runs, tmp_path / turn)] for turn in "ab")
    for one, other in zip(first, second, strict=True):
        differ = [
            pair for pair in zip(one.splitlines(), other.splitlines(), strict=True) if len(set(pair)) > 1
        ]
        assert differ == []
    curves, confusion, attention = first
    for text in ("feature term", "response term", "task term", "validation top-1", "distilled", "ce"):
        assert text in curves
    for text in ("teacher", "distilled", "predicted", *CLASSES["colour"]):
        assert text in confusion
    assert "target_test_0" in attention


def test_weights_of_another_network_are_refused(runs, tmp_path):
    config = json.loads(runs["ce"][0].with_name("config.json").read_text())
    config["encoder"]["architecture"] = "mobilevit_xs"
    (tmp_path / "config.json").write_text(json.dumps(config))
    weights = runs["ce"][0].with_name("model.safetensors")
    (tmp_path / "model.safetensors").write_bytes(weights.read_bytes())
    with pytest.raises(UserError, match=r"fits only .* of the network's weights"):
        load_student(tmp_path / "model.safetensors")


def test_settings_of_a_run_are_complete(runs):
    config = json.loads(runs["ce"][0].with_name("config.json").read_text())
    assert config["settings"] == json.loads(canonical(settings(**CE)))
