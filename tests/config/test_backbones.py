"""Settings of a backbone: one source, pinned, and what goes with it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from vidkd.config.backbones import BackboneSettings
from vidkd.config.load import load_settings
from vidkd.config.problems import problems, sentence
from vidkd.errors import UserError

REVISION = "0123456789abcdef0123456789abcdef01234567"
SUM = "0" * 64


def said(**settings: object) -> str:
    """What a person reads about these settings."""
    with pytest.raises(ValidationError) as error:
        BackboneSettings.model_validate(settings)
    return "\n".join(sentence(problem) for problem in problems(BackboneSettings, error.value))


@pytest.mark.parametrize(
    "source",
    [{"hub": "a/b", "revision": REVISION}, {"folder": "weights"}, {"file": "w.pth", "sha256": SUM}],
)
def test_each_source(source):
    settings = BackboneSettings(kind="videomae", **source)
    assert (settings.tokens, settings.frames, settings.attention) == ("time", None, None)


@pytest.mark.parametrize("revision", ["main", "v1.0", REVISION[:12], REVISION.upper()])
def test_a_branch_is_refused(revision):
    found = said(kind="clip", hub="a/b", revision=revision)
    assert found.startswith(f"revision: found '{revision}'; allowed: a commit of 40 hexadecimal digits")


def test_the_hub_needs_a_revision():
    assert said(hub="a/b").startswith("revision: hub needs a commit, 40 hexadecimal digits")


def test_a_file_needs_its_sum():
    assert said(file="w.pth") == "sha256: file needs the sum of its content: sha256sum w.pth"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "found none as source; allowed: one of hub, folder, file and checkpoint"),
        ({"folder": "w", "file": "w.pth", "sha256": SUM}, "found folder and file as source"),
        (
            {"folder": "w", "revision": REVISION},
            "revision: is a commit of hub, which is not set: leave it out",
        ),
        ({"revision": REVISION}, "revision: is a commit of hub, which is not set: set hub"),
        ({"folder": "w", "sha256": "abc"}, "sha256: found 'abc'; allowed: 64 hexadecimal digits"),
        ({"hub": "videomae-base", "revision": REVISION}, "hub: found 'videomae-base'; allowed: owner/name"),
        ({"hub": "../b", "revision": REVISION}, "hub: found '../b'; allowed: owner/name"),
        ({"folder": "w", "token": "full"}, "token: no such setting; did you mean tokens?"),
        ({"folder": "w", "crops": 2}, "crops: found 2; allowed: 1 or 3"),
        ({"folder": "w", "kind": "videomea"}, 'kind: found "videomea"; allowed: one of clip, timm, videomae'),
        ({"folder": "w", "tokens": "all"}, 'tokens: found "all"; allowed: one of full, time, clip'),
        ({"folder": "w", "frames": 0}, "frames: found 0; allowed: whole number, at least 1, or null"),
        ({"folder": "w", "wieghts": "x"}, "wieghts: no such setting"),
        ({"folder": "w", "kind": "clip", "attention": "eager"}, "attention: open_clip chooses its attention"),
        ({"folder": "w", "kind": "timesformer", "attention": "sdpa"}, "attention: transformers has one form"),
    ],
)
def test_what_is_refused(settings, words):
    assert words in said(**settings)


FILE = {"kind": "videomae", "file": "w.pth", "sha256": SUM}
ID = "12hEVVdrFv0VNAIqAIZ0UTeicn-tm4jva"


@pytest.mark.parametrize("source", [{"url": "https://a.org/w.pth?raw=1"}, {"drive": ID}])
def test_where_a_file_is_fetched(source):
    assert BackboneSettings(**FILE, **source).model_dump(include={*source}) == source


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"url": "a.org/w.pth"}, "url: found 'a.org/w.pth'; allowed: an address of a file, https://"),
        ({"url": "file:///w.pth"}, "url: found 'file:///w.pth'; allowed"),
        ({"url": "https://a.org"}, "url: found 'https://a.org'; allowed: an address of a file"),
        ({"drive": f"https://drive.google.com/file/d/{ID}/view"}, "allowed: the id alone, which is ID in"),
        ({"drive": ID, "url": "https://a.org/w"}, "drive: url and drive both say where file is fetched from"),
        ({"drive": ID, "file": None, "sha256": None, "folder": "w"}, "drive: fetches file, which is not set"),
        (
            {"drive": ID, "kind": "timm"},
            "drive: fetches one file, and timm needs its library's configuration",
        ),
    ],
)
def test_addresses_that_are_refused(settings, words):
    assert words in said(**{**FILE, **settings})


def test_every_problem_is_told():
    found = said(hub="a/b", file="w.pth").splitlines()
    assert [line.partition(":")[0] for line in found] == [
        "found hub and file as source; allowed", "revision", "sha256",
    ]  # fmt: skip


# ---- among the other settings

CLIP = {"folder": "weights/clip"}


def test_backbones_are_settings_by_name():
    settings = load_settings({"backbones": {"clip": CLIP, "half": {**CLIP, "fp16": "true", "frames": "4"}}})
    assert settings.backbones["clip"].kind == "clip"
    assert (settings.backbones["half"].fp16, settings.backbones["half"].frames) == (True, 4)
    assert load_settings({}).backbones == {}


@pytest.mark.parametrize(
    ("backbones", "line"),
    [
        ({"CLIP": CLIP}, "backbones.CLIP: wrong name; allowed: lower-case letters, digits and _"),
        ({"a": 3}, "backbones.a: found 3; allowed: a mapping of settings"),
        ([], "backbones: found []; allowed: mapping of text to settings"),
        ({"a": {"hub": "a/b"}}, "backbones.a.revision: hub needs a commit"),
        (
            {
                "a": {"file": "w.pth", "sha256": 64 * "0"},
                "b": {"file": "./w.pth", "sha256": 64 * "1"},
            },
            "backbones.b.file: is that of backbones.a, with another sha256: give each its own file",
        ),
        ({"a": {**CLIP, "frames": 33}}, "backbones.a.frames: 33 frames are asked of videos stored with 32"),
        (
            {"a": {**CLIP, "frames": 8, "views": 5}},
            "backbones.a.views: 40 frames are asked of videos stored with 32",
        ),
        ({"a": {**CLIP, "views": 5}}, "backbones.a.views: 40 frames are asked of videos stored with 32"),
        (
            {"a": {**CLIP, "kind": "timm", "views": 5}},
            "backbones.a.views: 40 frames are asked of videos stored with 32",
        ),
        (
            {"a": {**CLIP, "kind": "vivit", "views": 33}},
            "backbones.a.views: 33 frames are asked of videos stored with 32",
        ),
    ],
)
def test_a_wrong_backbone_is_named(backbones, line):
    with pytest.raises(UserError) as caught:
        load_settings({"backbones": backbones})
    _, found = str(caught.value).splitlines()
    assert found.strip().startswith(line)
