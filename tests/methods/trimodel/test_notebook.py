"""The names of seed 002 in a notebook: its own snippets run as they are, and whole trainings in one call."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest
import torch
from nbclient import NotebookClient
from safetensors.torch import load_file, save_file
from transformers import VideoMAEForVideoClassification

from tests.methods.trimodel.processed import COLOURS, COUNTS, FRAMES
from vidkd.errors import UserError
from vidkd.methods.trimodel.notebook import (
    TriModelDistillationTrainer,
    create_data_loaders,
    load_label_mappings,
    train_tri_model_distillation,
)
from vidkd.methods.trimodel.notebook.utils import LabelledClips
from vidkd.methods.trimodel.predict import load_student

ROOT = Path(__file__).resolve().parents[3]
NOTEBOOK = ROOT / "examples/trimodel.ipynb"
OURS = "vidkd.methods.trimodel.notebook"
SEED = ROOT.parent / "shared/seeds/002_68f6d501838d1602.txt"


def statements(block: str) -> list[str]:
    """Lines of code without indentation, comments and blank ones."""
    lines = (line.strip() for line in block.replace("tri_model_distillation ", f"{OURS} ").splitlines())
    named = (line.replace("tri_model_distillation.", f"{OURS}.") for line in lines)
    return [line for line in named if line and not line.startswith("#")]


def small(desk: Path, **changes: object) -> dict[str, object]:
    """Settings of a short training."""
    names = {"teacher_model_name": str(desk / "videomae"), "student_model_name": str(desk / "videomae")}
    amd = {"assistant_model_path": str(desk / "ssv2_models/amd_vit_s_ssv2.pth")}
    data = {"dataset_root": desk / "processed_dataset"}
    return {**names, **amd, **data, "num_epochs": 2, "batch_size": 6, "learning_rate": 1e-3, **changes}


@pytest.fixture(scope="module")
def executed(desk) -> nbformat.NotebookNode:
    """The notebook after all of its cells ran in a real kernel."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    kernel = NotebookClient(notebook, timeout=1200, resources={"metadata": {"path": str(desk)}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_CACHE", str(desk / "hub"))
        patch.setenv("PYTHONPATH", str(ROOT))
        kernel.execute()
    return notebook


class TestNotebook:
    pytestmark = pytest.mark.slow

    @pytest.mark.skipif(not SEED.is_file(), reason="the seed is not beside the project")
    def test_the_seeds_snippets_are_in_it(self):
        """Each block of Python of the seed, line by line and in its order, with our name of the package."""
        blocks = re.findall(r"^ *```python\n(.*?)```", SEED.read_text(), re.DOTALL | re.MULTILINE)
        wanted = [statements(block) for block in blocks]
        assert [len(lines) for lines in wanted] == [11, 32, 2, 0, 0, 2]
        cells = nbformat.read(NOTEBOOK, as_version=4).cells
        there = [line for cell in cells if cell.cell_type == "code" for line in statements(cell.source)]
        for lines in wanted:
            following = iter(there)
            assert [line for line in lines if line not in following] == []

    def test_it_is_kept_without_outputs(self):
        cells = nbformat.read(NOTEBOOK, as_version=4).cells
        assert not any(cell.outputs for cell in cells if cell.cell_type == "code")

    def test_results_are_those_of_the_test_videos(self, executed, desk):
        results = json.loads((desk / "tri_model_distilled_videomae/results.json").read_text())
        assert results["clips"] == len(COLOURS) * COUNTS["test"]
        assert set(results["per_class_accuracy"]) == set(COLOURS)
        assert set(results["losses"]) == {
            "task_loss", "teacher_feature_loss", "assistant_feature_loss", "teacher_attention_loss",
            "assistant_attention_loss", "asymmetric_loss",
        }  # fmt: skip
        assert results["parameters"]["student"] < results["parameters"]["assistant"]

    def test_classes_are_named_that_transformers_predicts(self, executed):
        (cell,) = (cell for cell in executed.cells if "student.config.id2label" in cell.source)
        named = re.findall(r"'([^']+)'", cell.outputs[-1]["data"]["text/plain"])
        assert len(named) == 4
        assert set(named) <= set(COLOURS)


@pytest.fixture(scope="module")
def trained(desk):
    """A student trained in one call, its networks given as files and folders."""
    shutil.copytree(next((desk / "hub").glob("*/snapshots/*")), desk / "videomae")
    config = small(desk, output_dir=str(desk / "trained"))
    return train_tri_model_distillation(**config)


def like(trainer: TriModelDistillationTrainer, **changes: object) -> TriModelDistillationTrainer:
    """The same trainer with other arguments, or another objective."""
    config, args = (
        part.model_copy(update={name: value for name, value in changes.items() if hasattr(part, name)})
        for part in (trainer.config, trainer.args)
    )
    return TriModelDistillationTrainer(
        trainer.framework, config, args, trainer.train_dataset, trainer.eval_dataset
    )


@pytest.mark.slow
def test_the_student_of_the_framework_is_the_trained_one(trained, tmp_path):
    framework, trainer, _ = trained
    kept, _, _ = load_student(trainer.weights)
    for name, value in kept.state_dict().items():
        assert torch.equal(value, framework.student.state_dict()[name])
    framework.save_pretrained(tmp_path / "saved")
    again = VideoMAEForVideoClassification.from_pretrained(tmp_path / "saved").eval()
    batch = torch.stack([trainer.eval_dataset[row]["pixel_values"] for row in range(3)])
    clips = (batch * torch.tensor(framework.student.std).view(3, 1, 1)) + torch.tensor(
        framework.student.mean
    ).view(3, 1, 1)
    with torch.no_grad():
        expected = kept((clips * 255).round().byte())
        assert (again(pixel_values=batch).logits - expected).abs().max() < 1e-4


@pytest.mark.slow
def test_accuracy_is_that_of_the_networks_own_answers(trained, desk):
    """Counted clip by clip with transformers alone."""
    _, trainer, results = trained
    network = VideoMAEForVideoClassification.from_pretrained(trainer.weights.parent / "network").eval()
    label2id, _ = load_label_mappings(desk / "processed_dataset")
    processor, work_dir = trained[0].image_processor, desk / "trained/data"
    _, _, test = create_data_loaders(desk / "processed_dataset", processor, label2id, 4, FRAMES, work_dir)
    right = 0
    with torch.no_grad():
        for batch in test:
            right += (network(pixel_values=batch["pixel_values"]).logits.argmax(1) == batch["labels"]).sum()
    assert results["accuracy"] == pytest.approx(100 * right.item() / results["clips"])


@pytest.mark.slow
def test_what_was_made_is_not_made_again_and_a_second_call_ends_the_same(trained, desk):
    made = {
        file: file.stat().st_mtime_ns
        for pattern in ("data/frames/*/*.h5", "teacher/features/*.h5", "assistant/head/*.safetensors")
        for file in (desk / "trained").glob(pattern)
    }
    assert len(made) == 6
    before = trained[1].weights.read_bytes()
    config = small(desk, output_dir=str(desk / "trained"))
    train_tri_model_distillation(**config)
    assert {file: file.stat().st_mtime_ns for file in made} == made
    assert trained[1].weights.read_bytes() == before


@pytest.mark.slow
def test_history_has_a_row_for_each_validation(trained, desk):
    config = small(desk, eval_steps=3, output_dir=str(desk / "often"))
    _, trainer, _ = train_tri_model_distillation(**config)
    history = pd.read_csv(trainer.weights.with_name("history.csv"))
    assert history["epoch"].tolist() == pytest.approx([3 / 2, 2])
    assert history["val_top1"].notna().all()


@pytest.mark.slow
def test_figures_are_of_the_settings_that_are_asked_for(trained):
    _, trainer, _ = trained
    other, untrained = like(trainer, learning_rate=1e-4), like(trainer, output_dir="nowhere")
    with pytest.raises(UserError, match=r"there is no trained student at nowhere.*: call train\(\) first"):
        untrained.evaluate()
    with pytest.raises(UserError, match=r"was trained with other settings than these: call train\(\) first"):
        other.evaluate()


@pytest.mark.slow
def test_a_student_that_gives_every_clip_one_class_has_learnt_nothing(trained, tmp_path, caplog):
    _, trainer, results = trained
    assert results["result_gate"]["passed"] == (len(set(answers_of(trainer))) > 1)
    shutil.copytree(trainer.weights.parent, tmp_path / "student")
    state = load_file(tmp_path / "student/model.safetensors")
    (bias,) = [name for name in state if name.endswith("classifier.bias")]
    state[bias] = torch.tensor([0.0, 0.0, 1000.0])
    save_file(state, tmp_path / "student/model.safetensors")
    found = like(trainer, output_dir=str(tmp_path)).evaluate()
    assert found["result_gate"] == {"passed": False, "reason": "every clip gets the same class"}
    assert "the student has learnt nothing: every clip gets the same class" in caplog.messages


def answers_of(trainer: TriModelDistillationTrainer) -> list[int]:
    """What transformers says of the clips of the test videos."""
    network = VideoMAEForVideoClassification.from_pretrained(trainer.weights.parent / "network").eval()
    places = trainer.train_dataset.places
    test = LabelledClips(places, "test", trainer.framework.image_processor, FRAMES)
    with torch.no_grad():
        return [int(network(pixel_values=clip["pixel_values"][None]).logits.argmax()) for clip in test]


@pytest.mark.slow
def test_the_normal_class_has_its_figure_and_must_be_one(trained):
    _, trainer, _ = trained
    assert 0 < like(trainer, normal="A").evaluate()["average_precision_of_anomalies"] <= 100
    with pytest.raises(UserError, match="normal: no class is called 'Z'; known: A, B-1, G"):
        like(trainer, normal="Z")


@pytest.mark.slow
def test_another_precision_in_the_same_process(trained, desk, tmp_path):
    """Without a new state of the library between them, which every other test has."""
    config = small(desk, output_dir=str(tmp_path), num_epochs=1)
    train_tri_model_distillation(**config)
    train_tri_model_distillation(**config, recipe={"precision": "bf16"})
    said = json.loads((tmp_path / "student/config.json").read_text())
    assert said["settings"]["precision"] == "bf16"
    assert said["networks"]["teacher"]["folder"] == str(desk / "videomae")


@pytest.mark.slow
def test_the_command_prints_the_figures_of_the_test_videos(desk, made_once, tmp_path):
    options = {
        "dataset-root": desk / "processed_dataset", "output-dir": tmp_path / "out", "frames": 4,
        "teacher-model-name": made_once / "teacher", "student-model-name": made_once / "teacher",
        "assistant-model-path": made_once / "assistant", "margin": 3, "num-epochs": 1, "batch-size": 8,
        "hidden-layers-to-align": "-1,-2", "recipe": '{"flip": "plain"}',
    }  # fmt: skip
    words = [f"--{name}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", "workflow_scripts.distil_trimodel", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed == json.loads((tmp_path / "out/results.json").read_text())
    assert printed["clips"] == len(COLOURS) * COUNTS["test"]
    said = json.loads((tmp_path / "out/student/config.json").read_text())["settings"]
    assert (said["flip"], said["hidden_layers_to_align"]) == ("plain", [-1, -2])
