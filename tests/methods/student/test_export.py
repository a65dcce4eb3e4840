"""An exported student: the logits of PyTorch, the classes of the pipeline from video files, and nothing else."""

from __future__ import annotations

import json
import shutil

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from tests.backbones.checkpoints import clips
from tests.methods.student.filmed import film
from tests.methods.student.taught import CLASSES, COUNTS, DEMO, Taught
from tests.methods.student.test_predict import run
from tests.methods.student.test_train import settings
from vidkd.config.data import FrameSettings
from vidkd.errors import UserError
from vidkd.methods.student.export import export_student, is_exported, load_exported
from vidkd.methods.student.predict import load_student
from workflow_scripts import predict_videos

FRAMES = FrameSettings(per_video=8, short_side=40, encoding="raw")


@pytest.fixture(scope="module")
def filmed(tmp_path_factory) -> Taught:
    """Videos, a trained student in `student`, and it exported in `export`."""
    made = film(tmp_path_factory.mktemp("filmed") / "made", "raw", DEMO)
    run(made, made.root / "student", settings(pooling="cls", positions=True))
    export_student(made.root / "student/model.safetensors", FRAMES, made.root / "export")
    return made


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2, 5])
def test_onnx_has_the_logits_of_pytorch(filmed, count):
    model, chosen, _ = load_student(filmed.root / "student/model.safetensors")
    session = onnxruntime.InferenceSession(filmed.root / "export/student.onnx",
    providers=["CPUExecutionProvider"]) pixels = clips(count, chosen.frames, chosen.size, seed=count)
     with torch.inference_mode():
        wanted = model(pixels).logits.numpy()
    (found,) = session.run(None, {"frames": pixels.numpy()})
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert json.loads((filmed.root / "export/config.json").read_text())["onnx_difference"] <= 1e-4


@pytest.mark.slow
def test_video_files_get_the_classes_of_the_pipeline(filmed, tmp_path):
    videos = filmed.root / "videos/test"
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    given = ["--bundle", str(filmed.root / "export"), "--output", str(tmp_path / "out.csv")]
    done = CliRunner().invoke(predict_videos.main, [*given, str(videos), str(tmp_path / "broken.mp4")])
    assert done.exit_code == 1, done.output  # one video cannot be used
    table = pd.read_csv(tmp_path / "out.csv")
    assert table.loc[len(table) - 1, "reason"] == "no_video" or table["status"].iloc[-1] == "excluded"
    found = table[table["status"] == "ok"]
    wanted = pd.read_csv(filmed.root / "student/predictions.csv").set_index("video_id")
    assert len(found) == len(wanted) == COUNTS["test"]
    for _, row in found.iterrows():
        of = wanted.loc["test/" + row["path"].rsplit("/", 1)[1].removesuffix(".mp4")]
        assert row["class"] == CLASSES["colour"][int(of["pred"])]
        assert row["probability"] == pytest.approx(of[f"s_{int(of['pred'])}"], abs=1e-4)
        assert row["frames"] == "1 3 5 7"


@pytest.mark.slow
def test_it_runs_elsewhere_and_refuses_what_was_changed(filmed, tmp_path):
    folder = tmp_path / "moved"
    shutil.copytree(filmed.root / "export", folder)
    assert load_exported(folder).classes == CLASSES["colour"]
    (folder / "student.onnx").write_bytes(b"x")
    with pytest.raises(UserError, match=r"student\.onnx is missing, damaged or was replaced"):
        load_exported(folder)
    about = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(about | {"student": 2}))
    with pytest.raises(UserError, match=r"is an exported student of version 2, and this program reads version
         1"): load_exported(folder) @pytest.mark.slow def test_other_folders_are_left_alone(filmed, tmp_path): (tmp_path / "mine").mkdir() with pytest.raises(UserError, match=r"is there and is no exported student"): export_student(filmed.root / "student/model.safetensors", FRAMES, tmp_path / "mine") assert list((tmp_path / "mine").iterdir()) == [] assert not is_exported(tmp_path / "mine") with pytest.raises(UserError, match=r"is no exported student"): load_exported(tmp_path / "mine")
