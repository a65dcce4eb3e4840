"""Predictions, their figures, the tables and the times, against scikit-learn and plain counting."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, top_k_accuracy_score
from torch.nn import functional as F

from tests.methods.student.taught import CE, CLASSES, COUNTS, STUDENT, below, changed, open_clips_own
from vidkd.config.base import canonical
from vidkd.data.frames import FrameStore
from vidkd.errors import UserError
from vidkd.features.store import FeatureStore
from vidkd.methods.evaluate import evaluate
from vidkd.methods.inputs import Inputs
from vidkd.methods.needs import Needs
from vidkd.methods.student.figures import attended_clips, draw_attention
from vidkd.methods.student.predict import load_student
from vidkd.methods.student.table import tabulate, tabulate_teachers
from vidkd.report.confusion import draw_confusion
from vidkd.report.curves import draw_curves
from workflow_scripts import measure, predict

CENTRES = [1, 3, 5, 7]
"""Middles of four segments of the eight frames that are kept."""

PARTS = ("predictions", "config", "efficiency")


def results(**files: Path | list[Path]) -> Needs:
    """Files by name."""
    found = {name: of if isinstance(of, list) else [of] for name, of in files.items()}
    return Needs.model_validate({"results": {name: tuple(map(str, of)) for name, of in found.items()}})


def run(taught, folder: Path, chosen=STUDENT, name: str = "small", seed: int = 0) -> Path:
    """Train, predict and evaluate; the metrics."""
    taught.predict(taught.train(folder, chosen, run=name, seed=seed))
    suffix = {"predictions": "csv"}
    inputs = Inputs(results(**{part: folder / f"{part}.{suffix.get(part, 'json')}" for part in PARTS}))
    evaluate("student", name, seed, inputs, {}, folder / "metrics.json")
    return folder / "metrics.json"


@pytest.fixture(scope="module")
def runs(made_once, tmp_path_factory) -> dict[str, list[Path]]:
    """Metrics of two students with two seeds each."""
    taught, root = below(made_once), tmp_path_factory.mktemp("runs")
    found: dict[str, list[Path]] = {"ce": [], "distilled": []}
    for name, chosen in {"ce": changed(**CE), "distilled": STUDENT}.items():
        for seed in (0, 1):
            found[name].append(run(taught, root / name / f"seed{seed}", chosen, name, seed))
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
            output = model(F.interpolate(crop_TCHW, (32, 32), mode="bilinear", antialias=True)[None])
        assert table.loc[row, "pred"] == output.logits.argmax().item()
        np.testing.assert_allclose(row_values(table, row, "s", 6), output.logits.softmax(1)[0], atol=1e-4)
        np.testing.assert_allclose(row_values(table, row, "a", 4), output.attention[0], atol=1e-4)
        cosine = F.cosine_similarity(output.features[0], teacher_ND[row], dim=0).item()
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
    needs = Needs(
        weights={name: (str(of[0].with_name("model.safetensors")),) for name, of in runs.items()},
        networks={"teacher": taught.needs().networks["teacher"]},
    )
    given = ["student", "--needs", needs.text(), "--rounds=3", f"--output={output}"]
    done = CliRunner().invoke(measure.main, given)
    assert done.exit_code == 0, done.output
    return output


@pytest.fixture
def tabulated(taught, runs, latency) -> pd.DataFrame:
    teacher = taught.head().with_name("metrics.json")
    given = results(metrics=every(runs), teacher=teacher, latency=latency)
    return tabulate(Inputs(given), {"baseline": "ce"}).set_index("variant")


def test_times_are_of_every_network_with_one_and_two_threads(latency):
    table = pd.read_csv(latency)
    assert list(table["variant"]) == ["ce", "distilled", "teacher"]
    for threads in (1, 2):
        low, middle, high = (table[f"ms_{threads}{end}"] for end in ("_low", "", "_high"))
        assert ((low > 0) & (low <= middle) & (middle <= high)).all()


def test_costs_are_those_of_the_tables(runs, latency):
    table = pd.read_csv(latency).set_index("variant")
    for name, of in runs.items():
        found = json.loads(of[0].read_text())
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


def test_operations_are_those_of_the_teachers_matrices(latency):
    teacher = pd.read_csv(latency).set_index("variant").loc["teacher"]
    assert teacher["frames"] == 4
    # ViT of width 64, 2 layers, 16 patches and a class token, 4 frames: multiply-adds of its matrices.
    tokens, width = 17, 64
    layer = tokens * (4 * width**2 + 8 * width**2) + 2 * tokens**2 * width
    frame = 16 * 192 * width + 2 * layer + width * 24
    assert teacher["gflops"] == pytest.approx(4 * frame / 1e9, rel=0.02)


def test_teachers_are_tabulated_with_what_the_gate_says(taught):
    runs = {label: taught.head(label).with_name("metrics.json") for label in CLASSES}
    table = tabulate_teachers(Inputs(results(metrics=list(runs.values()))), {})
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
        "student", f"--frame-stores=test={taught.frames('test')[0]}", f"--label-list={taught.labels()}",
        f"--feature-stores=clip.test={taught.features('val')[0]}", f"--trained=student={weights}",
        f"--trained=head={taught.head()}", f"--predictions={tmp_path / 'p.csv'}",
        f"--efficiency={tmp_path / 'e.json'}",
    ]  # fmt: skip
    done = CliRunner().invoke(predict.main, given)
    assert done.exit_code == 2
    assert "target_test_00000" in done.output
    assert list(tmp_path.iterdir()) == []


def test_the_features_of_another_clip_are_refused(taught, runs, tmp_path):
    features = taught.cached_by_another_clip("test", tmp_path)
    shutil.copytree(runs["ce"][0].parent, tmp_path / "run")
    (tmp_path / "run/predictions.csv").unlink()
    with pytest.raises(UserError, match=r"is a head for other features than these of other"):
        taught.predict(tmp_path / "run/model.safetensors", features)
    assert not (tmp_path / "run/predictions.csv").exists()


def attention_needs(taught, metrics: Path) -> Needs:
    config, predictions = (metrics.with_name(name) for name in ("config.json", "predictions.csv"))
    needs = results(config=config, predictions=predictions)
    return needs.model_copy(update={"frames": taught.needs().frames})


def test_attended_clips_are_frames_of_the_store_with_their_weights(taught, runs):
    path = runs["distilled"][0]
    found = attended_clips(Inputs(attention_needs(taught, path)), clips=4)
    store, table = FrameStore(taught.frames("test")), table_of(path).set_index("video_id")
    assert len(found) == 4
    for title, images, weights in found:
        name = title.partition(":")[0]
        assert CLASSES["colour"][int(table.loc[name, "label_id"])] in title
        np.testing.assert_array_equal(images, store.clip(store.video_ids.index(name), CENTRES))
        np.testing.assert_allclose(weights, row_values(table, name, "a", 4))


def draw(taught, runs, folder: Path) -> list[Path]:
    folder.mkdir()
    curves, confusion, attention = (folder / f"{name}.svg" for name in ("curves", "confusion", "attention"))
    histories = {name: [path.with_name("history.csv") for path in of] for name, of in runs.items()}
    draw_curves(Inputs(results(**histories)), [curves])
    first = {name: of[0].with_name("predictions.csv") for name, of in runs.items()}
    given = results(teacher=taught.head().with_name("predictions.csv"), **first)
    draw_confusion(Inputs(given.model_copy(update={"classes": str(taught.classes())})), [confusion])
    draw_attention(Inputs(attention_needs(taught, runs["distilled"][0])), [attention])
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
    assert config["settings"] == json.loads(canonical(changed(**CE)))
