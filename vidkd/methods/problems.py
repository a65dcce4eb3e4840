"""What methods ask of the other sections of a configuration, each refused with its place."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from vidkd.config.data import WITH_LABELS
from vidkd.config.problems import Location, Problem, nearest, too_many_frames
from vidkd.config.variants import NAME, Experiment

if TYPE_CHECKING:
    from vidkd.config.settings import CommonSettings

Named = Iterable[tuple[Location, str | None]]
"""Places, and the names that stand there; None names nothing."""


def start_problems(
    settings: CommonSettings, section: str, experiment: Experiment, kind: str
) -> list[Problem]:
    """Variants that start from a network that is none, or ask for more frames than are kept."""
    named: Named = [
        ((section, "variants", name, "backbone"), experiment.variant(name).backbone)
        for name in experiment.variants
    ]
    return network_problems(settings, named, kind) + frame_problems(settings, section, experiment)


def frame_problems(settings: CommonSettings, section: str, experiment: Experiment) -> list[Problem]:
    """Variants that ask for more frames than are kept."""
    found: list[Problem] = []
    for name in experiment.variants:
        variant = experiment.variant(name)
        samplings = (variant.frame_sampling, variant.eval_frame_sampling)
        asked = max(variant.kept_frames(variant.frames, sampling) for sampling in samplings)
        if asked > settings.frames.per_video:
            text = too_many_frames(asked, settings.frames.per_video)
            found.append(((section, "variants", name, "frames"), text))
    return found


def network_problems(settings: CommonSettings, named: Named, kind: str | None = None) -> list[Problem]:
    """Names that are no backbones, or of another kind."""
    found: list[Problem] = []
    for where, name in named:
        if name is None:
            continue
        used = settings.backbones.get(name)
        if used is None:
            found.append((where, f"no backbone is called {name}; {nearest(name, list(settings.backbones))}"))
        elif kind not in (None, used.kind):
            found.append((where, f"{name} is of the kind {used.kind}; allowed: the kind {kind}"))
    return found


def view_problems(settings: CommonSettings, who: str, names: Iterable[str | None]) -> list[Problem]:
    """Networks of which one view is wanted and several are cached; `who` wants it (`a teacher takes`)."""
    text = f"{who} one view and one crop: cache it a second time, under another name"
    return [
        (("backbones", name, "views" if used.views > 1 else "crops"), text)
        for name in names
        if name in settings.backbones and (used := settings.backbones[name]).views * used.crops > 1
    ]


def label_problems(settings: CommonSettings, labels: Named) -> list[Problem]:
    """Labels of videos that have one only, and names that name no file."""
    found: list[Problem] = []
    named = [(where, name) for where, name in labels if name is not None]
    if settings.data.adapter not in WITH_LABELS:
        text = f"the videos of data.adapter {settings.data.adapter} have one label each: leave it empty"
        found += [(where, text) for where, _ in named]
    wrong = [(where, name) for where, name in named if not re.fullmatch(NAME, name)]
    return found + [(where, f"found {name!r}; allowed: {NAME}") for where, name in wrong]
