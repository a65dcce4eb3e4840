"""An exported student: the logits of PyTorch, and the classes of the pipeline from video files."""

from __future__ import annotations

import copy
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
from tests.methods.student.taught import CLASSES, COUNTS, FRAMES, STUDENT, Taught, below, changed, film
from tests.methods.student.test_predict import run
from vidkd.errors import UserError
from vidkd.methods.inputs import Inputs
from vidkd.methods.needs import Needs
from vidkd.methods.student import export
from vidkd.methods.student.export import is_exported, load_exported
from vidkd.methods.student.predict import load_student
from workflow_scripts import predict_videos

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("exported")]

ROOT = Path(__file__).resolve().parents[3]


def export_student(weights: Path, folder: Path) -> None:
    export.export(Inputs(Needs(weights={"small": (str(weights),)})), FRAMES, folder)


@pytest.fixture(scope="module")
def filmed(tmp_path_factory) -> Taught:
    """Videos, a trained student in `student`, and it exported in `export`."""
    made = film(tmp_path_factory.mktemp("filmed") / "made", "raw")
    run(made, made.root / "student", changed(pooling="cls", positions=True))
    export_student(made.root / "student/model.safetensors", made.root / "export")
    return made


@pytest.fixture(scope="module")
def seeds_own(made_once, tmp_path_factory) -> Path:
    """A folder with a student that pools as seed 000 does in `student`, and it exported in `export`."""
    assert (STUDENT.pooling, STUDENT.positions) == ("attention", False)
    root = tmp_path_factory.mktemp("seeds_own")
    weights = below(made_once).train(root / "student", changed(epochs=1))
    export_student(weights, root / "export")
    return root


@pytest.fixture(params=["cls with positions", "attention"])
def root(request, filmed, seeds_own) -> Path:
    return seeds_own if request.param == "attention" else filmed.root


@pytest.mark.parametrize("count", [1, 2, 5])
def test_onnx_has_the_logits_of_pytorch(root, count):
    model, chosen, _ = load_student(root / "student/model.safetensors")
    path = root / "export/student.onnx"
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    pixels = clips(count, chosen.frames, chosen.size, seed=count)
    with torch.inference_mode():
        wanted = model(pixels).logits.numpy()
    (found,) = session.run(None, {"frames": pixels.numpy()})
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert json.loads((root / "export/config.json").read_text())["onnx_difference"] <= 1e-4


def test_a_network_of_other_logits_is_refused_and_leaves_nothing(seeds_own, monkeypatch, tmp_path):
    made = export.to_onnx

    def of_another(model, chosen, output):
        other = copy.deepcopy(model)
        other.classifier.bias += 2e-4
        made(other, chosen, output)

    monkeypatch.setattr(export, "to_onnx", of_another)
    with pytest.raises(
        UserError, match=r"a logit of ONNX differs by 0\.0002 from PyTorch's, more than 0\.0001"
    ):
        export_student(seeds_own / "student/model.safetensors", tmp_path / "export")
    assert list(tmp_path.iterdir()) == []


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
        export_student(filmed.root / "student/model.safetensors", tmp_path / "mine")
    assert list((tmp_path / "mine").iterdir()) == []
    assert not is_exported(tmp_path / "mine")
    with pytest.raises(UserError, match=r"is no exported student"):
        load_exported(tmp_path / "mine")
