"""The parts of a notebook: settings, data, networks and reuse, each of which refuses bad input."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path

import pytest
import torch

from tests.methods.trimodel.processed import COLOURS, COUNTS, FRAMES, write_amd
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
from vidkd.methods.trimodel.notebook.utils import digest_of, unless_made
from vidkd.methods.trimodel.settings import DistillationSettings, TriModelSettings


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
