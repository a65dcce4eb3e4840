"""What a configuration names of weights that are made elsewhere."""

from __future__ import annotations

from pydantic import Field

from vidkd.config.backbones import BackboneSettings
from vidkd.config.base import Section


class WeightsSettings(Section):
    """The weights to have on this machine before a run."""

    backbones: dict[str, BackboneSettings] = Field(
        default={}, description="Name of a frozen network and what it is."
    )
    starts: dict[str, str] = Field(
        default={},
        description="Name of a run (ffn.tsm) and the weights it starts from: a torchvision name or a file.",
    )
