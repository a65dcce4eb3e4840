"""The kinds of backbone that are known, and the one way to load any of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from vidkd import lazy
from vidkd.config.backbones import BackboneSettings
from vidkd.errors import UserError

if TYPE_CHECKING:  # torch, which Snakemake shall not load to know the modules
    from vidkd.backbones.protocol import Backbone

BACKBONES = {
    "clip": "vidkd.backbones.clip:load",
    "timm": "vidkd.backbones.mobilevit:load",
    "videomae": "vidkd.backbones.videomae:load",
    "timesformer": "vidkd.backbones.timesformer:load",
    "vivit": "vidkd.backbones.vivit:load",
    "vjepa2": "vidkd.backbones.vjepa2:load",
}

_UNUSABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def module_of(kind: str) -> str:
    """Name the module with the backbones of this kind, which no import statement mentions."""
    return lazy.module_of(BACKBONES[kind])


def load_backbone(settings: BackboneSettings) -> Backbone:
    """Load the frozen network that `settings` name, with all its weights, on the CPU in float32.

    Raises:
        UserError: its files are missing, damaged, of another architecture or of another sum.
    """
    loader: Callable[[BackboneSettings], Backbone] = lazy.load(BACKBONES[settings.kind])
    try:
        return loader(settings)
    except _UNUSABLE as error:  # a library's answer to a configuration file with values that it cannot take
        place = settings.file or settings.folder or settings.hub
        raise UserError(
            f"backbone {settings.kind}, {place}: no network comes of its configuration files "
            f"({type(error).__name__}: {error}). Fetch them again, or mend what was changed in them."
        ) from error
