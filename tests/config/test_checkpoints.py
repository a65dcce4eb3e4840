"""Settings of the networks that a configuration trains itself."""

from __future__ import annotations

import pytest

from vidkd.config.checkpoints import CheckpointSettings, SourceSettings
from vidkd.config.data import DemoSettings
from vidkd.config.load import load_settings
from vidkd.errors import UserError


def whole(**changes: object) -> dict[str, object]:
    return {
        "checkpoints": {"small": {"kind": "vivit"}},
        "backbones": {"video": {"kind": "vivit", "checkpoint": "small"}},
    } | changes


@pytest.mark.parametrize(
    ("kind", "frames", "tubelet", "steps"),
    [
        ("clip", 3, 2, 3),
        ("timm", 1, 2, 1),
        ("timesformer", 5, 2, 5),
        ("videomae", 8, 2, 4),
        ("vjepa2", 8, 4, 2),
    ],
)
def test_steps(kind, frames, tubelet, steps):
    crop = {"clip": 1, "vjepa2": 0.875}.get(kind, 0.9)
    assert CheckpointSettings(kind=kind, frames=frames, tubelet=tubelet, crop=crop).steps == steps


def test_the_source_is_generated_in_its_own_style():
    """And only what matters to a checkpoint is a setting: a change of one trains anew."""
    source = SourceSettings(seed=3, train=5, crf=20)
    assert source.demo == DemoSettings(domain="source", seed=3, train=5, val=300, test=12, crf=20)
    assert set(SourceSettings.model_fields) == {"seed", "train", "val", "frames", "size", "fps", "crf"}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"backbones": {"video": {"kind": "vivit", "checkpoint": "smal"}}},
            "backbones.video.checkpoint: no checkpoint is called smal; did you mean small?",
        ),
        (
            {"checkpoints": {}},
            "backbones.video.checkpoint: no checkpoint is called small; known: none",
        ),
        (
            {"backbones": {"video": {"kind": "videomae", "checkpoint": "small"}}},
            "backbones.video.kind: checkpoint small is of the kind vivit: set kind to that",
        ),
        (
            {"backbones": {"video": {"kind": "vivit", "checkpoint": "small", "folder": "there"}}},
            "backbones.video: found folder and checkpoint as source; allowed: one of hub,",
        ),
        (
            {"checkpoints": {"small": {"kind": "vivit", "frames": 40}}},
            "checkpoints.small.frames: 40 frames are asked of videos stored with 32",
        ),
        (
            {"backbones": {"video": {"kind": "vivit", "checkpoint": "small", "views": 5}}},
            "backbones.video.views: 40 frames are asked of videos stored with 32",
        ),
        (
            {"backbones": {"video": {"kind": "vivit", "checkpoint": "small", "frames": 4}}},
            "backbones.video.frames: checkpoint small takes 8 frames and no other: leave it out",
        ),
        (
            {"checkpoints": {"small": {"kind": "vivit", "patch": 7}}},
            "checkpoints.small.patch: 48 pixels do not divide into patches of 7",
        ),
        (
            {"checkpoints": {"small": {"kind": "vivit", "heads": 5}}},
            "checkpoints.small.heads: a width of 64 does not divide by 5",
        ),
        (
            {"checkpoints": {"small": {"kind": "vivit", "frames": 7}}},
            "checkpoints.small.tubelet: 7 frames do not divide into tubelets of 2",
        ),
        (
            {"checkpoints": {"small": {"kind": "vivit"}, "a": {"kind": "clip"}}},
            "checkpoints.a.crop: clip sees the whole middle square of a frame: set 1",
        ),
        (
            {"checkpoints": {"small": {"kind": "vivit"}, "a": {"kind": "vjepa2"}}},
            "checkpoints.a.crop: the processor of vjepa2 resizes to 256 / 224 of its crop: set 0.875",
        ),
        (
            {"checkpoints": {"small": {"kind": "vivit"}, "a": {"kind": "timm", "appearance": 0}}},
            "checkpoints.a.appearance: timm is trained on nothing else: set it above 0",
        ),
        (
            {"checkpoints": {"small": {"kind": "vivit", "layout": "original"}}},
            "checkpoints.small.layout: original is a layout of videomae alone: set library",
        ),
        (
            {"checkpoints": {"small": {"kind": "vivit"}, "a": {"layout": "amd"}}},
            'checkpoints.a.layout: found "amd"; allowed: one of library, original',
        ),
        ({"checkpoints": {"small": {"kind": "vivit"}, "A b": {}}}, "checkpoints.A b: wrong name; allowed: "),
        (
            {"checkpoints": {"small": {"kind": "vit"}}},
            'checkpoints.small.kind: found "vit"; allowed: one of clip, timm, videomae, timesformer,',
        ),
        ({"source": {"domain": "target"}}, "source.domain: no such setting"),
        ({"source": {"low_label": 0.2}}, "source.low_label: no such setting"),
        ({"source": {"test": 6}}, "source.test: no such setting"),
    ],
)
def test_a_wrong_setting_is_one_line(changes, line):
    with pytest.raises(UserError) as error:
        load_settings(whole(ffn={"base": {"size": 48}}, **changes))
    _, *found = str(error.value).splitlines()
    assert any(problem.strip().startswith(line) for problem in found), found


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("vivit", {}),
        ("timesformer", {"frames": 8, "views": 4}),
        ("videomae", {"frames": 4, "views": 8}),
        ("timm", {"views": 4}),
    ],
)
def test_right_ones_load(kind, changes):
    used = {"kind": kind, "checkpoint": "small"} | changes
    settings = load_settings({"checkpoints": {"small": {"kind": kind}}, "backbones": {"video": used}})
    assert settings.checkpoints["small"].kind == settings.backbones["video"].kind
