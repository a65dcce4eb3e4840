"""Clips that are shown: which, with which frames, and what their titles say."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from tests.report.drawn import assert_draws_the_same_twice, assert_refused, figure_of, given, words
from vidkd.config.data import FrameSettings
from vidkd.data.frame_writer import StoredClip, frame_writer
from vidkd.report import clips

SHEET, MISTAKES = "vidkd.report.clips:draw_clips", "vidkd.report.clips:draw_mistakes"

CLASSES = ["ant", "bee $5", "cat", "$dog"]
LABELS = {"v0": 1, "v1": 0, "v2": 1, "v3": 3, "v4": 1, "v5": 2, "v6": 0}
KEPT, HEIGHT, WIDTH = 16, 10, 20


def frame(name: str, t: int) -> np.ndarray:
    """A frame of one colour that says which it is."""
    return np.full((HEIGHT, WIDTH, 3), (int(name[1:]) * 20, t * 10, 99), np.uint8)


@pytest.fixture
def shards(tmp_path):
    settings = FrameSettings(per_video=KEPT, short_side=16, encoding="raw")
    files = [tmp_path / "test/shard_0.h5", tmp_path / "test/shard_1.h5"]
    files[0].parent.mkdir()
    for number, path in enumerate(files):
        with frame_writer(path, settings, "rendered") as writer:
            for name in [name for name in LABELS if int(name[1:]) % 2 == number]:
                index, time = np.arange(KEPT, dtype=np.int32), np.arange(float(KEPT))
                clip = StoredClip(name, LABELS[name], index, time, False, (HEIGHT, WIDTH))
                writer.add(clip, [frame(name, t).tobytes() for t in range(KEPT)])
    return files


@pytest.fixture
def classes(tmp_path):
    path = tmp_path / "classes.json"
    path.write_text(json.dumps(CLASSES))
    return path


@pytest.fixture
def predictions(tmp_path):
    """v0 and v3 are right, v5 carries the class that it gets beside its label, the other four are wrong."""
    pred = {"v0": 1, "v1": 2, "v2": 0, "v3": 3, "v4": 3, "v5": 0, "v6": 1}
    sure = {"v0": 0.9, "v1": 0.5, "v2": 0.934, "v3": 0.9, "v4": 0.5, "v5": 0.99, "v6": 0.7}
    table = pd.DataFrame({"video_id": list(LABELS), "label_id": LABELS.values(), "pred": pred.values()})
    for k in range(len(CLASSES)):
        table[f"s_{k}"] = [sure[name] if pred[name] == k else 0.01 for name in LABELS]
    table["label_ids"] = ["2;0" if name == "v5" else str(label) for name, label in LABELS.items()]
    table.to_csv(tmp_path / "predictions.csv", index=False)
    return tmp_path / "predictions.csv"


@pytest.fixture
def inputs(shards, classes, predictions):
    """What mistakes are drawn of: those of the network `kd`."""
    return given({"kd": predictions}, shards, classes=str(classes))


def shown(figure):
    """Titles, and which clip and frames are below each, from the colours."""
    heading, *titles = (text.get_text() for text in figure.texts)
    images = [axes.images[0].get_array() for axes in figure.axes]
    rows = [images[start : start + 8] for start in range(0, len(images), 8)]
    assert all((image == image[0, 0]).all() for image in images)
    names = [{f"v{image[0, 0, 0] // 20}" for image in row} for row in rows]
    times = [[image[0, 0, 1] // 10 for image in row] for row in rows]
    return heading, [(title, *name) for title, name in zip(titles, names, strict=True)], times


def test_the_sheet_has_as_many_clips_of_each_class_as_can_be(inputs, monkeypatch):
    monkeypatch.setattr(clips, "CLIPS", 6)
    figure = figure_of(clips.draw_clips, inputs)
    heading, titles, times = shown(figure)
    assert heading == "6 of the 7 test clips"
    # Of the four classes first one each, then the second of those that have one.
    assert titles == [
        ("ant", "v1"), ("ant", "v6"), ("bee $5", "v0"), ("bee $5", "v2"), ("cat", "v5"), ("$dog", "v3"),
    ]  # fmt: skip
    assert times == [[1, 3, 5, 7, 9, 11, 13, 15]] * 6


def test_more_classes_than_places_show_one_clip_of_the_first():
    table = pd.DataFrame(
        {"video_id": [f"v{n:02d}" for n in range(60)], "label_id": [n % 30 for n in range(60)]}
    )
    assert clips.chosen_clips(table.sample(frac=1, random_state=0))["label_id"].tolist() == list(range(12))


def test_mistakes_are_the_most_confident_first(inputs):
    figure = figure_of(clips.draw_mistakes, inputs)
    heading, titles, _ = shown(figure)
    assert heading == "kd: 4 of its 4 mistakes on the 7 test clips"
    assert titles == [
        ("bee $5 → ant, p = 0.93", "v2"), ("ant → bee $5, p = 0.70", "v6"), ("ant → cat, p = 0.50", "v1"),
        ("bee $5 → $dog, p = 0.50", "v4"),
    ]  # fmt: skip


def test_no_more_mistakes_than_there_is_room_for(inputs, monkeypatch):
    monkeypatch.setattr(clips, "MISTAKES", 2)
    figure = figure_of(clips.draw_mistakes, inputs)
    heading, titles, _ = shown(figure)
    assert heading == "kd: 2 of its 4 mistakes on the 7 test clips"
    assert [name for _, name in titles] == ["v2", "v6"]


def test_without_scores_mistakes_stand_in_the_order_of_their_names(inputs, predictions):
    table = pd.read_csv(predictions)
    table = table.drop(columns=["label_ids", "s_0", "s_1", "s_2", "s_3"]).rename(columns={"pred": "pred_16f"})
    table.to_csv(predictions, index=False)
    figure = figure_of(clips.draw_mistakes, inputs)
    assert shown(figure)[1][0] == ("ant → cat", "v1")


def test_where_there_is_no_mistake_the_figure_says_so(inputs, predictions, tmp_path):
    table = pd.read_csv(predictions)
    table.assign(pred=table["label_id"]).to_csv(predictions, index=False)
    names = {"predictions.csv", "classes.json", "test"}
    svg = assert_draws_the_same_twice(MISTAKES, tmp_path, inputs, names)
    assert words(svg) == ["kd makes no mistake on the 7 test clips."]


def test_predictions_of_other_videos_are_refused(inputs, shards, tmp_path):
    shards[1].rename(shards[0])
    assert_refused(MISTAKES, tmp_path, inputs, "no frame store has the video 'v2'")


def test_frames_are_as_high_as_they_are_wide_for(shards):
    images = np.zeros((8, 30, 15, 3), np.uint8)
    figure = figure_of(clips.draw_strips, "both", [("tall", images), ("wide", images.transpose(0, 2, 1, 3))])
    width, height = figure.get_size_inches()
    for axes, ratio in zip(figure.axes, [2] * 8 + [0.5] * 8, strict=True):
        box = axes.get_position()
        assert box.height * height / (box.width * width) == pytest.approx(ratio)
    assert min(axes.get_position().y0 for axes in figure.axes) > 0
    assert max(axes.get_position().y1 for axes in figure.axes) < 1


def test_the_script(shards, classes, tmp_path):
    inputs = given({}, shards, classes=str(classes))
    svg = assert_draws_the_same_twice(SHEET, tmp_path, inputs, {"classes.json", "test"})
    assert words(svg).count("bee $5") == 3
    assert svg.read_text().count("<image") == 7 * 8
    absent = given({}, [tmp_path / "absent/shard_0.h5"], classes=str(classes))
    assert_refused(SHEET, tmp_path, absent, "no frame store there")
