"""Video mode and cached mode: the same run to the last bit, whether frames or features are read."""

from __future__ import annotations

import pytest

from tests.methods.fusion.filmed import FUSION, STUDENT, TEACHERS
from tests.road import files
from vidkd.backbones.live import LiveFeatures


@pytest.mark.parametrize(
    ("changes", "networks"),
    [
        ({}, [STUDENT]),
        ({"features": "real", "sweep": {}}, [STUDENT, *TEACHERS]),
        ({"finetune_converters": True, "sweep": {}}, [STUDENT]),
    ],
    ids=["converted", "real", "finetuned"],
)
def test_a_head_is_the_same_from_frames_and_from_caches(filmed, tmp_path, changes, networks):
    settings = FUSION.model_copy(update=changes)
    converters = {} if "features" in changes else filmed.converters
    caches = {name: filmed.cached(name) for name in networks} if changes else filmed.caches()
    given = converters if "finetune_converters" in changes else {}  # frozen ones have made their caches
    cached = filmed.fuse(tmp_path / "cached", caches, settings, given)
    video = filmed.fuse_live(tmp_path / "video", networks, settings, converters)
    assert files(video.parent) == files(cached.parent)


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
