"""The names of seed 002 in a notebook: its own snippets run as they are, and bad input is refused."""

from __future__ import annotations

import csv
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

from tests.engine.conftest import _own_process_state  # noqa: F401
from tests.methods.trimodel.processed import COLOURS, COUNTS, FRAMES, write_amd, write_dataset, write_videomae
from tests.web_server import serve
from vidkd.config.data import DataSettings
from vidkd.errors import UserError
from vidkd.methods.trimodel.notebook import (
    TrainingArguments,
    TriModelConfig,
    TriModelDistillationFramework,
    TriModelDistillationTrainer,
    create_data_loaders,
    load_label_mappings,
    models,
    train_tri_model_distillation,
)
from vidkd.methods.trimodel.notebook.config import student_settings
from vidkd.methods.trimodel.notebook.utils import LabelledClips, digest_of, unless_made
from vidkd.methods.trimodel.predict import load_student
from vidkd.methods.trimodel.settings import DistillationSettings, TriModelSettings

ROOT = Path(__file__).resolve().parents[3]
NOTEBOOK = ROOT / "examples/trimodel.ipynb"
OURS = "vidkd.methods.trimodel.notebook"
SEED = ROOT.parent / "shared/seeds/002_68f6d501838d1602.txt"


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Path:
    """A folder with `processed_dataset`, the hub's cache and AMD's file, as the notebook expects them."""
    desk = tmp_path_factory.mktemp("desk")
    write_dataset(desk / "processed_dataset")
    write_videomae(desk / "hub")
    (desk / "ssv2_models").mkdir()
    write_amd(desk / "ssv2_models/amd_vit_s_ssv2.pth")
    return desk


def statements(block: str) -> list[str]:
    """Lines of code without indentation, comments and blank ones."""
    lines = (line.strip() for line in block.replace("tri_model_distillation ", f"{OURS} ").splitlines())
    named = (line.replace("tri_model_distillation.", f"{OURS}.") for line in lines)
    return [line for line in named if line and not line.startswith("#")]


@pytest.fixture
def at_desk(desk, monkeypatch) -> Path:
    """The same, as the present folder."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(desk / "hub"))
    monkeypatch.chdir(desk)
    return desk


def small(desk: Path, **changes: object) -> dict[str, object]:
    """Settings of a short training."""
    names = {"teacher_model_name": str(desk / "videomae"), "student_model_name": str(desk / "videomae")}
    amd = {"assistant_model_path": str(desk / "ssv2_models/amd_vit_s_ssv2.pth")}
    return {**names, **amd, "num_epochs": 2, "batch_size": 6, "learning_rate": 1e-3, **changes}


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
    config = small(desk, output_dir=str(desk / "trained"), dataset_root=desk / "processed_dataset")
    return train_tri_model_distillation(**config)


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
    config = small(desk, output_dir=str(desk / "trained"), dataset_root=desk / "processed_dataset")
    train_tri_model_distillation(**config)
    assert {file: file.stat().st_mtime_ns for file in made} == made
    assert trained[1].weights.read_bytes() == before


@pytest.mark.slow
def test_history_has_a_row_for_each_validation(trained, desk):
    config = small(
        desk, eval_steps=3, output_dir=str(desk / "often"), dataset_root=desk / "processed_dataset"
    )
    _, trainer, _ = train_tri_model_distillation(**config)
    history = pd.read_csv(trainer.weights.with_name("history.csv"))
    assert history["epoch"].tolist() == pytest.approx([3 / 2, 2])
    assert history["val_top1"].notna().all()


@pytest.mark.slow
def test_figures_are_of_the_settings_that_are_asked_for(trained):
    framework, trainer, _ = trained
    args = trainer.args.model_copy(update={"learning_rate": 1e-4})
    other = TriModelDistillationTrainer(
        framework, trainer.config, args, trainer.train_dataset, trainer.eval_dataset
    )
    elsewhere = args.model_copy(update={"output_dir": "nowhere"})
    untrained = TriModelDistillationTrainer(
        framework, trainer.config, elsewhere, trainer.train_dataset, trainer.eval_dataset
    )
    with pytest.raises(UserError, match=r"there is no trained student at nowhere.*: call train\(\) first"):
        untrained.evaluate()
    with pytest.raises(UserError, match=r"was trained with other settings than these: call train\(\) first"):
        other.evaluate()


@pytest.mark.slow
def test_a_student_that_gives_every_clip_one_class_has_learnt_nothing(trained, tmp_path, caplog):
    framework, trainer, results = trained
    assert results["result_gate"]["passed"] == (len(set(answers_of(trainer))) > 1)
    shutil.copytree(trainer.weights.parent, tmp_path / "student")
    state = load_file(tmp_path / "student/model.safetensors")
    (bias,) = [name for name in state if name.endswith("classifier.bias")]
    state[bias] = torch.tensor([0.0, 0.0, 1000.0])
    save_file(state, tmp_path / "student/model.safetensors")
    args = trainer.args.model_copy(update={"output_dir": str(tmp_path)})
    stuck = TriModelDistillationTrainer(
        framework, trainer.config, args, trainer.train_dataset, trainer.eval_dataset
    )
    found = stuck.evaluate()
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
    framework, trainer, _ = trained
    asked = trainer.config.model_copy(update={"normal": "A"})
    named = TriModelDistillationTrainer(
        framework, asked, trainer.args, trainer.train_dataset, trainer.eval_dataset
    )
    assert 0 < named.evaluate()["average_precision_of_anomalies"] <= 100
    with pytest.raises(UserError, match="normal: no class is called 'Z'; known: A, B-1, G"):
        TriModelDistillationTrainer(
            framework, trainer.config.model_copy(update={"normal": "Z"}), trainer.args,
            trainer.train_dataset, trainer.eval_dataset,
        )  # fmt: skip


@pytest.mark.slow
def test_another_precision_in_the_same_process(trained, desk, tmp_path):
    """Without a new state of the library between them, which every other test has."""
    config = small(desk, output_dir=str(tmp_path), dataset_root=desk / "processed_dataset", num_epochs=1)
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


class TestReuse:
    def test_it_is_made_once_for_each_digest(self, tmp_path):
        calls = []
        for digest in ("a", "a", "b", "b", "a"):
            unless_made(tmp_path, digest, [], lambda digest=digest: calls.append(digest))
        assert calls == ["a", "b", "a"]

    def test_it_is_made_again_when_a_file_of_it_is_gone(self, tmp_path):
        file = tmp_path / "x"
        for _ in range(2):
            unless_made(tmp_path, "a", [file], lambda: file.write_text("x"))
            assert file.read_text() == "x"
            file.unlink()

    def test_what_was_stopped_half_way_is_not_taken_for_the_last_whole_one(self, tmp_path):
        def stopped() -> None:
            raise KeyboardInterrupt

        unless_made(tmp_path, "a", [], lambda: None)
        with pytest.raises(KeyboardInterrupt):
            unless_made(tmp_path, "b", [], stopped)
        calls = []
        unless_made(tmp_path, "a", [], lambda: calls.append("a"))
        assert calls == ["a"]

    @pytest.mark.parametrize("place", ["video.mp4", "folder", "prefix"])
    def test_another_content_is_another_digest(self, tmp_path, place):
        (tmp_path / "folder").mkdir()
        for name in ("video.mp4", "folder/1.png", "prefix_frame_00.png"):
            (tmp_path / name).write_text("a")
        before = digest_of("", [], [tmp_path / place])
        assert digest_of("", [], [tmp_path / place]) == before
        for name in ("video.mp4", "folder/1.png", "prefix_frame_00.png"):
            (tmp_path / name).write_text("longer")
        assert digest_of("", [], [tmp_path / place]) != before


class TestSettings:
    def test_defaults_are_the_seeds(self):
        config, args = TriModelConfig(), TrainingArguments()
        assert (config.teacher_model_name, config.student_model_name) == ("MCG-NJU/videomae-base",) * 2
        assert (config.assistant_model_path, config.temperature) == (None, 4.0)
        weights = (
            config.feature_distillation_weight, config.attention_distillation_weight,
            config.teacher_feature_weight, config.assistant_feature_weight,
        )  # fmt: skip
        assert weights == (1.0, 0.5, 1.0, 0.8)
        assert config.hidden_layers_to_align == (-1, -2, -3)
        assert (args.learning_rate, args.batch_size, args.num_epochs, args.warmup_ratio) == (5e-5, 4, 10, 0.1)
        assert (args.eval_steps, args.save_steps, args.gradient_accumulation_steps) == (100, 200, 1)

    def test_they_become_those_of_the_workflow(self):
        args = TrainingArguments(learning_rate=1e-4, num_epochs=20, recipe={"mixup": 0.5})
        made = student_settings(TriModelConfig(temperature=2), args, 8)
        expected = TriModelSettings(
            backbone="student", lr=1e-4, epochs=20, warmup_epochs=2, validate_steps=100, mixup=0.5,
            temperature=2, frames=8,
        )  # fmt: skip
        assert made == expected

    def test_both_have_every_setting_of_the_objective(self):
        assert set(DistillationSettings.model_fields) <= set(TriModelConfig.model_fields)

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"learning_rat": 1}, "did you mean learning_rate"),
            ({"batch_size": 0}, "batch_size: found 0; allowed: whole number, at least 1"),
            ({"recipe": {"mixups": 1}}, "did you mean mixup"),
            ({"recipe": {"width": 192}}, "recipe: width is no further setting"),
            ({"recipe": {"mean": [0, 0, 0]}}, "recipe: mean is no further setting"),
            ({"recipe": {"frames": 8}}, "recipe: frames is no further setting"),
            ({"recipe": {"lr": 1}}, "recipe: lr is no further setting"),
            ({"recipe": {"temperature": 1}}, "recipe: temperature is no further setting"),
            ({"hidden_layers_to_align": [0]}, "hidden_layers_to_align"),
        ],
    )
    def test_a_wrong_one_is_named(self, at_desk, given, said):
        with pytest.raises(UserError, match=re.escape(said)):
            train_tri_model_distillation(**given)


class TestData:
    def test_labels_are_numbered_in_order_of_their_names(self, desk):
        label2id, id2label = load_label_mappings(desk / "processed_dataset")
        assert label2id == {"A": 0, "B-1": 1, "G": 2}
        assert id2label == {0: "A", 1: "B-1", 2: "G"}

    def test_the_root_of_another_layout_is_taken(self, at_desk, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        data = DataSettings(adapter="csv", root=str(at_desk / "processed_dataset"), annotations=".")
        assert load_label_mappings(None, data)[0] == {"A": 0, "B-1": 1, "G": 2}

    def test_batches_are_what_a_network_of_transformers_takes(self, at_desk, tmp_path):
        loaders = self.load(at_desk / "processed_dataset", tmp_path)
        assert [len(loader.dataset) for loader in loaders] == [3 * COUNTS[split] for split in COUNTS]
        batch = next(iter(loaders[1]))
        assert batch["pixel_values"].shape == (4, FRAMES, 3, 224, 224)
        # A clip's colour, normalised, by its label; videos are sorted by name and so by class.
        mean = batch["pixel_values"][0].mean((0, 2, 3))
        wanted = (torch.tensor(COLOURS["A"]) / 255 - torch.tensor([0.4, 0.5, 0.3])) / torch.tensor(
            [0.2, 0.3, 0.25]
        )
        assert batch["labels"].tolist() == [0, 0, 1, 1]
        assert (mean - wanted).abs().max() < 0.15

    def test_a_broken_video_is_left_out_with_its_reason(self, desk, at_desk, tmp_path):
        root = shutil.copytree(desk / "processed_dataset", tmp_path / "data")
        (root / "videos/train_A_0.mp4").write_bytes(b"no video")
        with pytest.raises(UserError, match=r"1 of 24 videos cannot be used .* above data\.max_excluded"):
            self.load(root, tmp_path / "work")
        lenient = DataSettings(adapter="csv", annotations=".", max_excluded=0.05)
        train, _, _ = self.load(root, tmp_path / "work", lenient)
        assert len(train.dataset) == 3 * COUNTS["train"] - 1
        with (tmp_path / "work/excluded.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert [(row["video_id"], row["reason"]) for row in rows] == [("videos/train_A_0", "unreadable")]

    @pytest.mark.parametrize(
        ("harm", "said"),
        [
            (lambda root: (root / "train.csv").unlink(), "train.csv"),
            (lambda root: (root / "val.csv").write_text("videos/val_A_0.mp4 Z\n"), "val.csv:1: label 'Z'"),
            (lambda root: (root / "test.csv").write_text("videos/test_A_0.mp4\n"), "test.csv:1: expected"),
            (lambda root: shutil.rmtree(root / "videos"), "are missing"),
        ],
    )  # fmt: skip
    def test_a_data_set_that_is_not_whole_is_refused(self, desk, at_desk, tmp_path, harm, said):
        root = shutil.copytree(desk / "processed_dataset", tmp_path / "data")
        harm(root)
        with pytest.raises(UserError, match=re.escape(said)):
            self.load(root, tmp_path / "work")

    def test_labels_of_another_data_set_are_refused(self, at_desk, tmp_path):
        processor = self.framework(at_desk).image_processor
        with pytest.raises(UserError, match="label2id has other classes"):
            create_data_loaders(at_desk / "processed_dataset", processor, {"A": 0}, 4, FRAMES, tmp_path)

    @staticmethod
    def framework(desk: Path) -> TriModelDistillationFramework:
        label2id, id2label = load_label_mappings(desk / "processed_dataset")
        return TriModelDistillationFramework(TriModelConfig(), len(label2id), label2id, id2label)

    def load(self, root: Path, work_dir: Path, data: DataSettings | None = None):
        label2id, _ = load_label_mappings(root)
        processor = self.framework(Path.cwd()).image_processor
        return create_data_loaders(root, processor, label2id, 4, FRAMES, work_dir, data)


class TestNetworks:
    def framework(self, desk: Path, frames: int = FRAMES, **changes: object) -> TriModelDistillationFramework:
        labels = {name: number for number, name in enumerate(sorted(COLOURS))}
        config = TriModelConfig.model_validate(changes)
        return TriModelDistillationFramework(
            config, 3, labels, {number: name for name, number in labels.items()}, frames
        )

    def test_a_name_of_the_hub_is_the_commit_that_is_here(self, at_desk):
        framework = self.framework(at_desk)
        assert framework.start.hub == "MCG-NJU/videomae-base"
        assert (
            framework.start.revision == (at_desk / "hub/models--MCG-NJU--videomae-base/refs/main").read_text()
        )

    def test_one_that_is_nowhere_is_named(self, at_desk, monkeypatch):
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(at_desk / "other"))
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
        with pytest.raises(UserError, match="student: MCG-NJU/videomae-base is not on this machine"):
            self.framework(at_desk)

    def test_a_page_in_place_of_the_assistant_is_refused(self, at_desk, tmp_path):
        page = tmp_path / "amd.pth"
        page.write_text("<!DOCTYPE html><html><body>Google Drive: virus scan warning</body></html>")
        with pytest.raises(UserError, match="web page"):
            self.framework(at_desk, assistant_model_path=str(page))

    def test_a_cut_assistant_is_refused(self, at_desk, tmp_path):
        whole = (at_desk / "ssv2_models/amd_vit_s_ssv2.pth").read_bytes()
        (tmp_path / "amd.pth").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(UserError, match=r"amd.pth"):
            self.framework(at_desk, assistant_model_path=str(tmp_path / "amd.pth"))

    def test_a_file_of_another_size_in_the_place_of_amds_is_refused(self, at_desk, monkeypatch, tmp_path):
        (tmp_path / "ssv2_models").mkdir()
        write_amd(tmp_path / "ssv2_models/amd_vit_s_ssv2.pth", width=768, heads=12)
        monkeypatch.chdir(tmp_path)
        with pytest.raises(UserError, match=r"is a network of width 768, and AMD's ViT-S has 384"):
            self.framework(tmp_path)

    def test_amds_own_file_is_fetched_once_where_none_is_named(self, at_desk, monkeypatch, tmp_path):
        content = (at_desk / "ssv2_models/amd_vit_s_ssv2.pth").read_bytes()
        monkeypatch.chdir(tmp_path)
        with serve(lambda handler: handler.send(content)) as server:
            monkeypatch.setattr(models, "DRIVE", server.url + "/download?id={}")
            self.framework(tmp_path)
            self.framework(tmp_path)
        assert (tmp_path / "ssv2_models/amd_vit_s_ssv2.pth").read_bytes() == content
        assert [path for _, path, _ in server.requests] == ["/download?id=1ynDyu3K_INoZjaNLzFIaYCo6kjBOwG__"]

    def test_an_assistant_that_cannot_be_fetched_says_where_it_goes(self, at_desk, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        page = b"<!DOCTYPE html><html><head><title>Quota exceeded</title></head></html>"
        with serve(lambda handler: handler.plain(200, page, **{"Content-Type": "text/html"})) as server:
            monkeypatch.setattr(models, "DRIVE", server.url + "/download?id={}")
            with pytest.raises(UserError, match=r"Quota exceeded.* place it at .*ssv2_models/amd_vit_s_ssv2"):
                self.framework(tmp_path)
        assert not (tmp_path / "ssv2_models/amd_vit_s_ssv2.pth").exists()

    @pytest.mark.parametrize("place", ["weights/amd.pth", "./nowhere", "a/b/c"])
    def test_a_path_where_nothing_is_is_not_taken_for_a_name_of_the_hub(self, at_desk, place):
        with pytest.raises(UserError, match=f"assistant: {re.escape(place)} does not exist"):
            self.framework(at_desk, assistant_model_path=place)

    def test_an_assistant_without_weight_is_not_looked_for(self, at_desk):
        framework = self.framework(at_desk, assistant_feature_weight=0, assistant_model_path="nowhere.pth")
        assert set(framework.backbones) == {"teacher"}

    def test_frames_that_are_no_tubelets_are_refused(self, at_desk):
        with pytest.raises(UserError, match="tubelet"):
            self.framework(at_desk, frames=15)

    def test_numbers_of_frames_must_agree(self, at_desk, tmp_path):
        framework = self.framework(at_desk)
        label2id, _ = load_label_mappings(at_desk / "processed_dataset")
        train, val, _ = create_data_loaders(
            at_desk / "processed_dataset", framework.image_processor, label2id, 4, 8, tmp_path
        )
        with pytest.raises(UserError, match="clips have 8 frames, the networks 16"):
            TriModelDistillationTrainer(
                framework, TriModelConfig(), TrainingArguments(), train.dataset, val.dataset
            )
