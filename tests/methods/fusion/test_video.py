"""Video mode and cached mode: the same run to the last bit, whether frames or features are read."""

from __future__ import annotations

from pathlib import Path

from tests.methods.fusion.filmed import FUSION, STUDENT, TEACHERS
from vidkd.backbones.live import LiveFeatures

RUN = ("model.safetensors", "config.json", "history.csv", "predictions.csv")


def run_of(weights: Path) -> dict[str, bytes]:
    return {name: weights.with_name(name).read_bytes() for name in RUN}


def test_a_head_of_converted_features_is_the_same_from_frames_and_from_caches(filmed, tmp_path):
    cached = filmed.fuse_cached(tmp_path / "cached")
    video = filmed.fuse_live(tmp_path / "video", [STUDENT], converters=filmed.converters)
    assert run_of(video) == run_of(cached)


def test_a_head_of_real_features_is_the_same_from_frames_and_from_caches(filmed, tmp_path):
    settings = FUSION.model_copy(update={"features": "real", "sweep": {}})
    names = (STUDENT, *TEACHERS)
    cached = filmed.fuse(tmp_path / "cached", {n: filmed.cached(n) for n in names}, settings)
    video = filmed.fuse_live(tmp_path / "video", names, settings)
    assert run_of(video) == run_of(cached)


def test_converters_that_are_trained_on_are_the_same_from_frames_and_from_caches(filmed, tmp_path):
    settings = FUSION.model_copy(update={"finetune_converters": True, "sweep": {}})
    student = {STUDENT: filmed.cached(STUDENT)}
    cached = filmed.fuse(tmp_path / "cached", student, settings, filmed.converters)
    video = filmed.fuse_live(tmp_path / "video", [STUDENT], settings, filmed.converters)
    assert run_of(video) == run_of(cached)


def test_a_batch_of_several_inputs_runs_the_student_once(filmed, tmp_path, monkeypatch):
    clips, computed = [], LiveFeatures._computed

    def counted(source, wanted):
        clips.append(len(wanted))
        return computed(source, wanted)

    monkeypatch.setattr(LiveFeatures, "_computed", counted)
    settings = FUSION.model_copy(update={"epochs": 1, "batch_size": 4, "sweep": {}})
    filmed.fuse_live(tmp_path, [STUDENT], settings, filmed.converters)
    # Statistics, and an epoch of full batches; a validation, and the gates; the predictions.
    assert sum(clips) == 18 + 16 + 6 + 6 + 7
