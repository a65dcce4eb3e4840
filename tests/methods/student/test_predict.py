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

from tests.methods.student.taught import CLASSES, COUNTS, STUDENT
from tests.methods.student.test_train import CE, settings
from vidkd.config.load import canonical
from vidkd.data.features import FeatureStore
from vidkd.data.frames import FrameStore
from vidkd.errors import UserError
from vidkd.evaluate.student import evaluate_student, tabulate, tabulate_teachers
from vidkd.methods.student.attention import attended_clips
from vidkd.methods.student.latency import measure
from vidkd.methods.student.predict import load_student, predict
from workflow_scripts import draw_attention, draw_student, predict_student


def run(taught, folder: Path, chosen=STUDENT, **more) -> Path:
    """Train, predict and evaluate; the metrics."""
    weights = taught.train(folder, chosen, **more)
    predict(
        weights, taught.frames("test"), taught.labels(), taught.head(), taught.features("test"),
        folder / "predictions.csv", folder / "efficiency.json",
    )  # fmt: skip
    files = [folder / name for name in ("predictions.csv", "config.json", "efficiency.json", "metrics.json")]
    evaluate_student(*files)
    return files[-1]


@pytest.fixture(scope="module")
def runs(made_once, tmp_path_factory) -> dict[str, list[Path]]:
    """Metrics of two students with two seeds each."""
    from tests.methods.student.taught import below

    taught, root = below(made_once), tmp_path_factory.mktemp("runs")
    found: dict[str, list[Path]] = {"ce": [], "distilled": []}
    for name, chosen in {"ce": settings(**CE), "distilled": STUDENT}.items():
        for seed in (0, 1):
            about = {"variant": name, "label": "colour"}
            found[name].append(run(taught, root / name / f"seed{seed}", chosen, seed=seed, about=about))
    return found


def table_of(metrics: Path) -> pd.DataFrame:
    return pd.read_csv(metrics.with_name("predictions.csv"))


def test_predictions_are_what_the_network_and_its_teacher_say(taught, runs):
    path = runs["distilled"][0]
    model, chosen, _ = load_student(path.with_name("model.safetensors"))
    store, table = FrameStore(taught.frames("test")), table_of(path)
    assert list(table["video_id"]) == store.video_ids
    cached = FeatureStore(taught.features("test"))
    teacher_ND = cached.rows(cached.rows_of(store.video_ids)).mean(1)
    for row in range(0, COUNTS["test"], 7):
        frames_THWC = store.clip(row, [1, 3, 5, 7])  # centres of four segments of eight frames
        top, side = 2, round(40 * chosen.eval_crop)
        crop = torch.from_numpy(frames_THWC[:, top : top + side, top : top + side]).permute(0, 3, 1, 2)
        clip = F.interpolate(crop, (32, 32), mode="bilinear", antialias=True)[None]
        with torch.inference_mode():
            seen = model(clip)
        assert table.loc[row, "pred"] == seen.logits.argmax().item()
        np.testing.assert_allclose(table.loc[row, [f"s_{k}" for k in range(6)]].astype(float), seen.logits.softmax(1)[0], atol=1e-4)
np.testing.assert_allclose(table.loc[row, [f"a_{t}" for t in range(4)]].astype(float), seen.attention[0], atol=1e-4)
cosine = F.cosine_similarity(seen.features[0], teacher_ND[row],
         dim=0).item() assert table.loc[row, "cosine"] == pytest.approx(cosine, abs=1e-4) def test_the_teachers_predictions_are_its_own(taught, runs): own = pd.read_csv(taught.head().with_name("predictions.csv")).set_index("video_id")["pred"] for metrics in (*runs["ce"], *runs["distilled"]): table = table_of(metrics).set_index("video_id")
        assert (table["teacher_pred"] == own[table.index]).all() def test_figures_are_scikit_learns(runs): for metrics in (*runs["ce"], *runs["distilled"]): found, table = json.loads(metrics.read_text()), table_of(metrics) label, pred = table["label_id"], table["pred"] scores = table[[f"s_{k}" for k in range(6)]].to_numpy() assert found["top1"] == pytest.approx(100 * accuracy_score(label, pred))
        assert found["top5"] == pytest.approx(100 * top_k_accuracy_score(label, scores, k=5, labels=range(6))) assert found["mean_class"] == pytest.approx(100 * balanced_accuracy_score(label, pred)) assert found["f1"] == pytest.approx(100 * f1_score(label, pred, average="macro", zero_division=0)) assert found["agreement"] == pytest.approx(100 * accuracy_score(table["teacher_pred"], pred)) assert found["cosine"] == pytest.approx(table["cosine"].mean()) assert found["n_clips"] == COUNTS["test"] @pytest.fixture def latency(taught, runs, tmp_path) -> Path: students = {name: of[0].with_name("model.safetensors") for name, of in runs.items()} measure(students, taught.head(), taught.clip, tmp_path / "latency.csv", rounds=3) return tmp_path / "latency.csv" def test_times_are_of_every_network_with_one_and_two_threads(latency): table = pd.read_csv(latency) assert list(table["variant"]) == ["ce", "distilled", "teacher"] for threads in (1, 2): low, middle, high = (table[f"ms_{threads}{end}"] for end in ("_low", "", "_high")) assert ((low > 0) & (low <= middle) & (middle <= high)).all() def test_the_table_has_students_beside_their_teacher(taught, runs, latency, tmp_path): teacher = taught.head().with_name("metrics.json") tabulate([*runs["ce"], *runs["distilled"]], teacher, latency, "ce", tmp_path / "student.csv") table = pd.read_csv(tmp_path / "student.csv").set_index("variant") assert list(table.index) == ["ce", "distilled", "teacher"] for name in ("ce", "distilled"): seeds = pd.DataFrame([json.loads(path.read_text()) for path in runs[name]]) assert table.loc[name, "seeds"] == 2 for column in ("top1", "mean_class", "f1", "agreement", "cosine"): assert table.loc[name, column] == pytest.approx(seeds[column].mean(), abs=1e-4) assert table.loc[name, f"{column}_std"] == pytest.approx(seeds[column].std(ddof=1), abs=1e-4) right = { name: np.array([(table_of(path)["pred"] == table_of(path)["label_id"]).mean() for path in paths]) for name, paths in runs.items() } assert table.loc["distilled", "delta"] == pytest.approx(100 * (right["distilled"] - right["ce"]).mean(), abs=1e-3) assert table.loc[["ce", "teacher"], ["delta", "p", "p_holm"]].isna().all(axis=None) own = pd.read_csv(taught.head().with_name("predictions.csv")) assert table.loc["teacher", "top1"] == pytest.approx(100 * accuracy_score(own["label_id"], own["pred"]), abs=1e-3) assert table.loc["teacher", "f1"] == pytest.approx(100 * f1_score(own["label_id"], own["pred"], average="macro"), abs=1e-3) assert table["ms_1"].gt(0).all() assert table.loc["ce", "params"] < 2e6 assert table.loc["distilled", "teacher_view"] == "online" assert table.loc["ce", "teacher_view"] == "none" def test_teachers_are_tabulated_with_what_the_gate_says(taught, tmp_path): metrics = [taught.head(label).with_name("metrics.json") for label in CLASSES] tabulate_teachers(metrics, tmp_path / "teachers.csv") table = pd.read_csv(tmp_path / "teachers.csv") assert len(table) == 6 used = table[table["used"]].set_index("label") assert used["gate"].to_dict() == {"colour": True, "motion": False} assert "of every video has"
in used.loc["motion", "reason"]
    for _, row in table.iterrows(): run = json.loads(taught.head(row["label"]).with_name("metrics.json").read_text()) assert row["val_top1"] == pytest.approx(run[f"val_{row['head']}"], abs=1e-3) def test_the_script_says_which_features_are_not_the_teachers(taught, runs, tmp_path): weights = runs["ce"][0].with_name("model.safetensors") out = [f"--{name}={tmp_path / name}" for name in ("predictions", "efficiency")] given = [str(weights), f"--test={taught.frames('test')[0]}", f"--labels={taught.labels()}", f"--teacher-head={taught.head()}", f"--teacher-test={taught.features('val')[0]}", *out]  # fmt: skip done = CliRunner().invoke(predict_student.main, given) assert done.exit_code == 2 assert "target_test_00000" in done.output assert not (tmp_path / "predictions").exists() def test_attended_clips_are_frames_of_the_store_with_their_weights(taught, runs): path = runs["distilled"][0] found = attended_clips(path.with_name("predictions.csv"), path.with_name("config.json"), taught.frames("test"), 4)
store, table = FrameStore(taught.frames("test")), table_of(path).set_index("video_id") assert len(found) == 4
    for title, images, weights in found: name = title.partition(":")[0] row = table.loc[name] assert CLASSES["colour"][int(row["label_id"])] in title np.testing.assert_array_equal(images, store.clip(store.video_ids.index(name), [1, 3, 5, 7])) np.testing.assert_allclose(weights, [row[f"a_{t}"] for t in range(4)]) def test_figures_are_drawn_and_twice_the_same(taught, runs, tmp_path):
    folders = [f"--run={name}={path.parent}" for name, of in runs.items() for path in of] teacher = taught.head().with_name("predictions.csv") given = [*folders, f"--teacher={teacher}", f"--classes={taught.classes()}"] first = runs["distilled"][0] attention = [f"--predictions={first.with_name('predictions.csv')}", f"--config={first.with_name('config.json')}", f"--frames-store={taught.frames('test')[0]}"] # fmt: skip for turn in "ab": names = [tmp_path / turn / name for name in ("curves.svg", "confusion.svg", "attention.svg")] for script, options in ( (draw_student, [*given, f"--curves={names[0]}", f"--confusion={names[1]}"]), (draw_attention, [*attention, f"--figure={names[2]}"]),
        ): done = CliRunner().invoke(script.main, options) assert done.exit_code == 0, done.output for name in ("curves.svg", "confusion.svg", "attention.svg"): one, other = ((tmp_path / turn / name).read_text() for turn in "ab") assert one == other curves, confusion = ((tmp_path / "a" / name).read_text() for name in ("curves.svg", "confusion.svg")) for text in ("feature term", "response term", "task term", "validation top-1", "distilled", "ce"): assert text in curves for text in ("teacher", "distilled", "predicted", *CLASSES["colour"]): assert text in confusion def test_predictions_of_another_network_are_refused(taught, runs, tmp_path): config = json.loads(runs["ce"][0].with_name("config.json").read_text()) config["encoder"]["architecture"] = "mobilevit_xs" (tmp_path / "config.json").write_text(json.dumps(config)) (tmp_path / "model.safetensors").write_bytes(runs["ce"][0].with_name("model.safetensors").read_bytes()) with pytest.raises(UserError, match=r"fits only .* of the network's weights"): load_student(tmp_path / "model.safetensors") def test_settings_of_a_run_are_resolved(runs): config = json.loads(runs["ce"][0].with_name("config.json").read_text()) assert config["settings"]["size"] == 32 assert json.loads(canonical(settings(**CE))) == config["settings"]
