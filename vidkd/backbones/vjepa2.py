"""V-JEPA 2 of transformers: the encoder alone; a step is a tubelet of frames."""

from __future__ import annotations

from torch import Tensor

from vidkd.backbones import huggingface
from vidkd.backbones.protocol import Backbone
from vidkd.backbones.source import find_source
from vidkd.config.backbones import BackboneSettings

UNUSED = ("predictor.", "vjepa2.predictor.", "pooler.", "classifier.")
"""The predictor is for pre-training only; pooler and classifier belong to fine-tuned checkpoints."""


class VJEPA2(Backbone):
    """S = patches of a frame."""

    def encode(self, clip_BTCHW: Tensor) -> Tensor:
        """Tokens after the encoder's last norm."""
        return self.by_step(self.network(clip_BTCHW).last_hidden_state)


def load(settings: BackboneSettings) -> VJEPA2:
    """A checkpoint from a folder as on the hub. Its rotary positions take any number of frames.

    Raises:
        UserError: see `load_backbone`.
    """
    from transformers import VJEPA2Model

    source = find_source(settings)
    config = huggingface.read_config(source, "vjepa2")
    pixels = huggingface.read_pixels(source, config.crop_size)
    frames = settings.frames or config.frames_per_clip
    spec = huggingface.video_spec("vjepa2", frames, config.tubelet_size, config.hidden_size, pixels, source)
    model = huggingface.load_network(VJEPA2Model, config, source.weights(), UNUSED, source, settings)
    return VJEPA2(spec, model.encoder, source.origin(source.json(huggingface.CONFIG), pixels.config))
