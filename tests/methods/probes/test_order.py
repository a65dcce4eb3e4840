"""Heads on frame-wise features are blind to order, and order is what tells the demo's motions apart.

As much a check of the videos as of the heads: within a mirror pair nothing but order may name the class.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.methods.probes.cached import Cache, fit, predict_test, write
from vidkd.config.data import DemoSettings
from vidkd.data.demo_drawing import render
from vidkd.data.demo_specs import MOTIONS, video_spec
from vidkd.evaluate.statistics import wilson
from vidkd.methods.evaluate import evaluate
from vidkd.methods.inputs import Inputs
from vidkd.methods.needs import Needs
from vidkd.methods.probes.settings import ProbeRun

CLASSES = sorted(MOTIONS)
PAIRS = dict(zip(MOTIONS[::2], MOTIONS[1::2], strict=True))
COUNTS = {"train": 480, "val": 120, "test": 360}
FRAMES, SIZE, CELL = 16, 48, 8
SETTINGS = {"epochs": 6, "head_width": 16}


@pytest.fixture(scope="module")
def videos() -> dict[str, dict[str, tuple[int, np.ndarray]]]:
    """What a plain image encoder sees in each frame (T, D) of rendered demo videos: where there is colour."""
    demo = DemoSettings(frames=FRAMES, size=SIZE)
    found = {}
    for split, count in COUNTS.items():
        rows = {}
        for spec in (video_spec(demo, split, index) for index in range(count)):
            frame_THWC = np.asarray(render(spec)).astype(np.float32)
            colour_THW = frame_THWC.max(-1) - frame_THWC.min(-1)
            cells = colour_THW.reshape(FRAMES, SIZE // CELL, CELL, SIZE // CELL, CELL).mean((2, 4))
            rows[spec.video_id] = CLASSES.index(spec.motion), cells.reshape(FRAMES, -1)
        found[split] = rows
    return found


def figures(videos, folder, head, change):
    """Features `change(row)` of each video, a fitted head's predictions of them, and its figures."""
    shards = {}
    for split, rows in videos.items():
        (folder / split).mkdir(parents=True)
        changed = {name: (label, change(row)) for name, (label, row) in rows.items()}
        shards[split] = [write(folder / split / "shard_0.h5", changed)]
    (folder / "classes.json").write_text(json.dumps(CLASSES))
    cache = Cache(shards, folder / "classes.json")
    fit(cache, folder, ProbeRun(head=head, attentive=SETTINGS))
    predictions = predict_test(cache, folder)
    names = ("predictions.csv", "efficiency.json", "config.json")
    results = {Path(name).stem: (str(folder / name),) for name in names}
    inputs = Inputs(Needs(results=results))
    evaluate("probes", "run", 0, inputs, {"pairs": PAIRS}, folder / "metrics.json")
    return cache, pd.read_csv(predictions), json.loads((folder / "metrics.json").read_text())


def whole(row: np.ndarray) -> np.ndarray:
    """All frames as one token: what a network that sees time could give."""
    return row.reshape(1, -1)


@pytest.mark.parametrize("head", ["linear", "attentive"])
def test_frame_by_frame_a_pair_is_not_told_apart(videos, tmp_path, head):
    *_, found = figures(videos, tmp_path, head, np.asarray)
    low, high = wilson(found["pairs"] / 100, found["pairs_clips"])
    assert found["pairs_clips"] == COUNTS["test"]
    assert low < 0.5 < high
    # What is left is to which of the six pairs a motion belongs.
    assert found["top1"] < 25
    assert found["chance"] == pytest.approx(100 / 12)


@pytest.mark.parametrize("head", ["linear", "attentive"])
def test_with_time_in_the_features_the_same_heads_tell_them_apart(videos, tmp_path, head):
    *_, found = figures(videos, tmp_path, head, whole)
    assert wilson(found["pairs"] / 100, found["pairs_clips"])[0] > 0.7
    assert wilson(found["top1"] / 100, found["n_clips"])[0] > 0.3


@pytest.mark.parametrize("head", ["linear", "attentive"])
@pytest.mark.parametrize(("change", "alike"), [(np.asarray, (0.99, 1)), (whole, (0, 0.5))])
def test_a_video_backwards_gets_the_same_class(videos, tmp_path, head, change, alike):
    """Whatever the head has learnt; with time in the features it gets another one."""
    cache, forth, _ = figures(videos, tmp_path, head, change)
    rows = {name: (label, change(row[::-1])) for name, (label, row) in videos["test"].items()}
    write(cache.shards["test"][0], rows)
    same = (forth["pred"] == pd.read_csv(predict_test(cache, tmp_path))["pred"]).mean()
    assert alike[0] <= same <= alike[1]
