"""An exported student: the logits of PyTorch, and the classes of the pipeline from video files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

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

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("exported")]

ROOT = Path(__file__).resolve().parents[3]
FRAMES = FrameSettings(per_video=8, short_side=40, encoding="raw")


@pytest.fixture(scope="module")
def filmed(tmp_path_factory) -> Taught:
    """Videos, a trained student in `student`, and it exported in `export`."""
    made = film(tmp_path_factory.mktemp("filmed") / "made", "raw", DEMO)
    run(made, made.root / "student", settings(pooling="cls", positions=True))
    export_student(made.root / "student/model.safetensors", FRAMES, made.root / "export")
    return made


@pytest.mark.parametrize("count", [1, 2, 5])
def test_onnx_has_the_logits_of_pytorch(filmed, count):
    model, chosen, _ = load_student(filmed.root / "student/model.safetensors")
    path = filmed.root / "export/student.onnx"
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    pixels = clips(count, chosen.frames, chosen.size, seed=count)
    with torch.inference_mode():
        wanted = model(pixels).logits.numpy()
    (found,) = session.run(None, {"frames": pixels.numpy()})
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert json.loads((filmed.root / "export/config.json").read_text())["onnx_difference"] <= 1e-4


def test_it_names_no_place_of_this_machine(filmed):
    content = (filmed.root / "export/student.onnx").read_bytes()
    assert b"export.py" not in content
    assert str(ROOT).encode() not in content


def test_video_files_get_the_classes_of_the_pipeline(filmed, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    given = ["--bundle", str(filmed.root / "export"), "--output", str(tmp_path / "out.csv")]
    places = [str(filmed.root / "videos/test"), str(tmp_path / "broken.mp4")]
    done = CliRunner().invoke(predict_videos.main, [*given, *places])
    assert done.exit_code == 1, done.output  # one video cannot be used
    table = pd.read_csv(tmp_path / "out.csv")
    assert table["status"].tolist() == ["ok"] * COUNTS["test"] + ["excluded"]
    assert table["reason"].iloc[-1]
    wanted = pd.read_csv(filmed.root / "student/predictions.csv").set_index("video_id")
    for row in table.head(COUNTS["test"]).to_dict("records"):
        of = wanted.loc["test/" + row["path"].rpartition("/")[2].removesuffix(".mp4")]
        assert row["class"] == CLASSES["colour"][int(of["pred"])]
        assert row["probability"] == pytest.approx(of[f"s_{int(of['pred'])}"], abs=1e-4)
        assert row["frames"] == "1 3 5 7"


def test_it_runs_elsewhere_and_refuses_what_was_changed(filmed, tmp_path):
    folder = tmp_path / "moved"
    shutil.copytree(filmed.root / "export", folder)
    assert load_exported(folder).classes == CLASSES["colour"]
    (folder / "student.onnx").write_bytes(b"x")
    with pytest.raises(UserError, match=r"student\.onnx is missing, damaged or was replaced"):
        load_exported(folder)
    about = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(about | {"student": 2}))
    says = r"is an exported student of version 2, and this program reads version 1"
    with pytest.raises(UserError, match=says):
        load_exported(folder)


def test_other_folders_are_left_alone(filmed, tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(UserError, match=r"is there and is no exported student"):
        export_student(filmed.root / "student/model.safetensors", FRAMES, tmp_path / "mine")
    assert list((tmp_path / "mine").iterdir()) == []
    assert not is_exported(tmp_path / "mine")
    with pytest.raises(UserError, match=r"is no exported student"):
        load_exported(tmp_path / "mine")
