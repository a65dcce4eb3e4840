"""Captions of the source videos: what CLIP is trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

LOOKS = ("shape", "texture", "colour")
"""Columns of the demo's annotation files that a single frame shows."""

ADJECTIVES = {"plain": "plain", "stripes": "striped", "checker": "checkered", "dots": "dotted"}
PATTERNS = {"plain": "no pattern", "stripes": "stripes", "checker": "a checker pattern", "dots": "dots"}

TEMPLATES = (
    "a photo of a {colour} {adjective} {shape}.",
    "a {colour} {shape} with {pattern}",
    "a {colour} {adjective} {shape} {motion}",
    "a video of a {adjective} {shape}.",
    "a {colour} {shape}",
    "a {shape}",
    "something {colour}",
    "something {adjective}",
    "a photo of a {word}.",
    "a photo of {word}.",
    "{word}",
)
"""Some name everything and some one thing alone, so that prompts of either sort find what they mean."""

LENGTH = 16
"""Tokens of a caption that are read; the longest has fewer."""


def write_caption(video: Mapping[str, str], template: str, word: str) -> str:
    """The caption of a video.

    Args:
        video: its row of the annotation file: motion, shape, texture and colour.
        template: one of TEMPLATES.
        word: one of LOOKS, whose value stands for `{word}`.

    Returns:
        Such as `a red striped ring move left`.
    """
    return template.format(
        colour=video["colour"],
        shape=video["shape"],
        adjective=ADJECTIVES[video["texture"]],
        pattern=PATTERNS[video["texture"]],
        motion=video["motion"].replace("_", " "),
        word=video[word],
    )


def draw_captions(videos: Sequence[Mapping[str, str]], generator: torch.Generator) -> list[str]:
    """A random caption for each video."""
    templates = torch.randint(len(TEMPLATES), (len(videos),), generator=generator).tolist()
    words = torch.randint(len(LOOKS), (len(videos),), generator=generator).tolist()
    return [
        write_caption(video, TEMPLATES[template], LOOKS[word])
        for video, template, word in zip(videos, templates, words, strict=True)
    ]
