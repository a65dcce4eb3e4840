"""XD-Violence as its archives are, raw names and compound labels, to a trained student and its precision."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import average_precision_score
from transformers import VideoMAEForVideoClassification

from tests.methods.trimodel.assisted import FRAMES
from vidkd.config.data import DataSettings
from vidkd.data.demo import write_video
from vidkd.data.label_ids import read_label_sets
from vidkd.errors import UserError
from vidkd.methods.trimodel.notebook import train_tri_model_distillation

CODES = {
    "A": (40, 200, 60),
    "B1": (220, 60, 40),
    "G": (60, 80, 230),
    "B1-G": (150, 70, 150),
    "G-B1": (150, 70, 150),
}
"""Codes in a name, and the colour of its video; the last two carry both classes."""

NAMES = {"A": "normal", "B1": "fighting", "G": "explosion"}
COUNTS = {"1-1004": 10, "test_videos": 4}


@pytest.fixture(scope="module")
def archives(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("xd")
    rng = np.random.default_rng(0)
    for folder, count in COUNTS.items():
        (root / folder).mkdir()
        for codes, colour in CODES.items():
            filled = "-".join([*codes.split("-"), "0", "0"][:3])
            for number in range(count):
                noise = np.kron(rng.normal(0, 30, (8, 5, 5, 3)), np.ones((1, 8, 8, 1)))
                pixels = (noise + np.array(colour)).clip(0, 255).astype(np.uint8)
                name = f"v={folder}{codes}{number}__#1_label_{filled}.mp4"
                write_video(pixels, root / folder / name, fps=10, crf=20)
    return root


def distil(archives: Path, made: Path, output_dir: Path, compound: str, **recipe: object):
    """Train with settings of the data set alone."""
    data = DataSettings(adapter="xd_violence", compound=compound, val_fraction=0.3)
    return train_tri_model_distillation(
        archives, FRAMES, data, output_dir=str(output_dir), teacher_model_name=str(made / "teacher"),
        assistant_model_path=str(made / "assistant"), student_model_name=str(made / "teacher"),
        learning_rate=1e-3, batch_size=8, num_epochs=4, eval_steps=8, margin=3, hidden_layers_to_align=(-1,),
        recipe={"warmup_epochs": 0, **recipe},
    )  # fmt: skip


@pytest.fixture(scope="module")
def multi(archives, made_once, tmp_path_factory):
    folder = tmp_path_factory.mktemp("multi")
    return folder, *distil(archives, made_once, folder, "multi")


def test_every_code_of_a_name_is_a_class_of_its_video(multi):
    folder, framework, trainer, _ = multi
    assert framework.classes == sorted(NAMES.values())
    ids = trainer.train_dataset.store.video_ids
    found = read_label_sets(folder / "data/labels.csv", ids, 3)
    for name, carried in zip(ids, found, strict=True):
        codes = [code for code in name.rpartition("_label_")[2].split("-") if code != "0"]
        wanted = {NAMES[code] for code in codes}
        assert {framework.classes[k] for k in np.flatnonzero(carried)} == wanted


def test_precision_counts_all_of_them_and_accuracy_the_first(multi):
    """From the names of the files, and what transformers alone says of the frames."""
    folder, framework, trainer, results = multi
    test = type(trainer.train_dataset)(
        trainer.train_dataset.places, "test", framework.image_processor, FRAMES
    )
    network = VideoMAEForVideoClassification.from_pretrained(folder / "student/network").eval()
    with torch.no_grad():
        clips = torch.stack([test[row]["pixel_values"] for row in range(len(test))])
        score_NK = network(pixel_values=clips).logits.softmax(1).numpy()
    codes = [name.rpartition("_label_")[2].split("-") for name in test.store.video_ids]
    carried = {name: [any(NAMES.get(code) == name for code in of) for of in codes] for name in NAMES.values()}
    wanted = [
        average_precision_score(carried[name], score_NK[:, k]) for k, name in enumerate(framework.classes)
    ]
    assert results["average_precision"] == pytest.approx(100 * np.mean(wanted), abs=0.01)
    first = [framework.classes.index(NAMES[of[0]]) for of in codes]
    assert results["accuracy"] == pytest.approx(100 * np.mean(score_NK.argmax(1) == first))
    # A video of two classes is no video of one alone: with first labels only, the figure is another one.
    single = [average_precision_score(np.array(first) == k, score_NK[:, k]) for k in range(3)]
    assert abs(np.mean(single) - np.mean(wanted)) > 0.01


def test_the_student_learns_both_classes_of_a_video(multi):
    _, _, trainer, results = multi
    history = pd.read_csv(trainer.weights.with_name("history.csv"))
    assert len(history) == 2
    assert history["task_loss"][1] < history["task_loss"][0]
    assert results["average_precision"] > 60
    assert results["clips"] == len(CODES) * COUNTS["test_videos"]


def test_a_set_of_codes_can_be_a_class_of_its_own(archives, made_once, tmp_path):
    framework, _, results = distil(archives, made_once, tmp_path, "all")
    assert framework.classes == ["explosion", "fighting", "fighting + explosion", "normal"]
    assert set(results["per_class_accuracy"]) == set(framework.classes)


def test_a_flip_that_swaps_labels_is_refused_for_several(archives, made_once, tmp_path):
    with pytest.raises(UserError, match="flip: swap is for videos of one class"):
        distil(archives, made_once, tmp_path, "multi", flip="swap", flip_labels={"normal": "fighting"})
