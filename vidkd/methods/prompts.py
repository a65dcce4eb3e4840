"""Prompts of each class, and what the text tower of a CLIP makes of them.

Shapes in names: N prompts, D features, K classes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from vidkd.config.problems import nearest
from vidkd.errors import UserError

if TYPE_CHECKING:  # open_clip takes seconds
    from vidkd.backbones.clip import CLIP

PROMPTS = 256
"""Prompts that the text tower sees at once."""

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|\d+")
"""Runs of capitals, words that may begin with one, numbers."""


def words_of(label: str) -> str:
    """Take a label apart into words: `ApplyEyeMakeup` and `apply_eye-makeup` are `apply eye makeup`."""
    return " ".join(_WORDS.findall(label)).lower()


def class_words(classes: Sequence[str], given: Mapping[str, str]) -> list[str]:
    """Find the words of each class: those that are given, or the label taken apart.

    Args:
        classes: labels in the order of their ids.
        given: words by label, of all classes or of none.

    Raises:
        UserError: some classes have words and others none, a name is no class, nothing of a label is a word,
            or two classes have the same words.
    """
    if unknown := [name for name in given if name not in classes]:
        raise UserError(
            f"student.teacher.class_names: there is no class {unknown[0]!r}; "
            f"{nearest(unknown[0], list(classes))}"
        )
    lacking = [name for name in classes if given and not given.get(name, "").strip()]
    if lacking:
        raise UserError(
            f"student.teacher.class_names has no words for {', '.join(lacking[:5])}"
            f"{' …' if len(lacking) > 5 else ''}: give words for each class, or leave class_names empty"
        )
    words = [given[name].strip() if given else words_of(name) for name in classes]
    for name, text in zip(classes, words, strict=True):
        if not text:
            raise UserError(
                f"class {name!r} has no words to make a prompt of: give them in student.teacher.class_names"
            )
        if words.count(text) > 1:
            same = [other for other, of in zip(classes, words, strict=True) if of == text]
            raise UserError(
                f"classes {' and '.join(map(repr, same[:2]))} would have the same prompts ({text!r}): give "
                "different words in student.teacher.class_names"
            )
    return words


@torch.no_grad()
def text_features(network: CLIP, words: Sequence[str], templates: Sequence[str]) -> Tensor:
    """Compute a unit vector (K, D) for each class: the mean of its prompts' ones (Radford et al. 2021)."""
    prompts = [template.replace("{}", of) for of in words for template in templates]
    parts = [
        network.encode_texts(prompts[start : start + PROMPTS]) for start in range(0, len(prompts), PROMPTS)
    ]
    prompt_ND = F.normalize(torch.cat(parts).float(), dim=1)
    return F.normalize(prompt_ND.unflatten(0, (len(words), -1)).mean(1), dim=1)
