"""Video mode and cached mode: the same run to the last bit, whether frames or features are read."""

from __future__ import annotations

from pathlib import Path

from tests.methods.fusion.filmed import FUSION, STUDENT, TEACHERS, Filmed, opened
from vidkd.backbones.live import live_splits

RUN = ("model.safetensors", "config.json", "history.csv", "predictions.csv")


def run_of(weights: Path) -> dict[str, bytes]:
    return {name: weights.with_name(name).read_bytes() for name in RUN}


def live(made: Filmed, name: str):
    frames = {split: [file] for split, file in made.frames.items()}
    return live_splits(frames, made.backbones[name], name)


def test_a_head_of_converted_features_is_the_same_from_frames_and_from_caches(filmed, tmp_path):
    cached = filmed.fuse_cached(tmp_path / "cached")
    source = live(filmed, STUDENT)
    video = filmed.fuse(tmp_path / "video", {STUDENT: source}, converters=filmed.converters)
    assert run_of(video) == run_of(cached)
    assert source["test"].waiting.seconds > 0


def test_a_head_of_real_features_is_the_same_from_frames_and_from_caches(filmed, tmp_path):
    settings = FUSION.model_copy(update={"features": "real", "sweep": {}})
    names = (STUDENT, *TEACHERS)
    cached = filmed.fuse(tmp_path / "cached", opened({n: filmed.cached(n) for n in names}), settings)
    video = filmed.fuse(tmp_path / "video", {n: live(filmed, n) for n in names}, settings)
    assert run_of(video) == run_of(cached)


def test_converters_that_are_trained_on_are_the_same_from_frames_and_from_caches(filmed, tmp_path):
    settings = FUSION.model_copy(update={"finetune_converters": True, "sweep": {}})
    student = opened({STUDENT: filmed.cached(STUDENT)})
    cached = filmed.fuse(tmp_path / "cached", student, settings, filmed.converters)
    video = filmed.fuse(tmp_path / "video", {STUDENT: live(filmed, STUDENT)}, settings, filmed.converters)
    assert run_of(video) == run_of(cached)


def test_a_batch_of_several_inputs_runs_the_student_once(filmed, tmp_path):
    source, clips = live(filmed, STUDENT), []
    network = source["train"]._network.backbone
    network.register_forward_pre_hook(lambda _module, given: clips.append(len(given[0])))
    settings = FUSION.model_copy(update={"epochs": 1, "batch_size": 4, "sweep": {}})
    filmed.fuse(tmp_path, {STUDENT: source}, settings, filmed.converters)
    # Statistics, and an epoch of full batches; a validation, and the gates; the predictions.
    assert len(clips) == 18 + 16 + 6 + 6 + 7
    assert set(clips) == {1}
