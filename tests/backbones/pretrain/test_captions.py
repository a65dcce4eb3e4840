"""Captions against sentences written by hand."""

from __future__ import annotations

import pytest
import torch

from vidkd.backbones.pretrain.captions import ADJECTIVES, PATTERNS, TEMPLATES, draw_captions, write_caption
from vidkd.data.demo_specs import TEXTURES

RING = {"motion": "move_left", "shape": "ring", "texture": "stripes", "colour": "red"}
DISC = {"motion": "appear", "shape": "disc", "texture": "plain", "colour": "blue"}


@pytest.mark.parametrize(
    ("video", "template", "word", "caption"),
    [
        (RING, 0, "shape", "a photo of a red striped ring."),
        (RING, 1, "shape", "a red ring with stripes"),
        (RING, 2, "shape", "a red striped ring move left"),
        (DISC, 1, "shape", "a blue disc with no pattern"),
        (DISC, 2, "colour", "a blue plain disc appear"),
        (RING, -1, "colour", "red"),
        (DISC, -3, "shape", "a photo of a disc."),
    ],
)
def test_a_caption(video, template, word, caption):
    assert write_caption(video, TEMPLATES[template], word) == caption


def test_every_texture_has_its_words():
    assert set(ADJECTIVES) == set(PATTERNS) == set(TEXTURES)


def test_captions_are_those_of_their_videos_and_of_the_generator():
    videos = [RING, DISC] * 200
    first = draw_captions(videos, torch.Generator().manual_seed(1))
    assert first == draw_captions(videos, torch.Generator().manual_seed(1))
    assert first != draw_captions(videos, torch.Generator().manual_seed(2))
    for video, other, captions in ((RING, DISC, first[::2]), (DISC, RING, first[1::2])):
        words = " ".join(captions).replace(".", "").split()
        assert {video["shape"], video["colour"], ADJECTIVES[video["texture"]]} <= set(words)
        assert not {other["shape"], other["colour"]} & set(words)
        # Each template, and each word in those that name one alone.
        assert len(set(captions)) > len(TEMPLATES)


def test_no_caption_is_longer_than_the_text_tower_reads():
    from vidkd.backbones.pretrain.method import _tokens

    longest = {"motion": "left_then_right", "shape": "triangle", "texture": "checker", "colour": "magenta"}
    for template in TEMPLATES:
        assert _tokens(write_caption(longest, template, "colour"))[-1] == 0, template
