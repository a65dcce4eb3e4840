"""ViViT of transformers: a step is a tubelet of frames; the CLS token is left out."""

from __future__ import annotations

from torch import Tensor

from vidkd.backbones import huggingface
from vidkd.backbones.protocol import Backbone
from vidkd.backbones.source import find_source
from vidkd.config.backbones import BackboneSettings

UNUSED = ("classifier.", "pooler.", "vivit.pooler.")


class ViViT(Backbone):
    """S = patches of a frame."""

    def encode(self, clip_BTCHW: Tensor) -> Tensor:
        """Tokens after the last norm, without CLS."""
        return self.by_step(self.network(clip_BTCHW).last_hidden_state[:, 1:])


def load(settings: BackboneSettings) -> ViViT:
    """A checkpoint from a folder as on the hub.

    Raises:
        UserError: see `load_backbone`.
    """
    from transformers import VivitModel

    source = find_source(settings)
    config = huggingface.read_config(source, "vivit")
    huggingface.refuse_frames(settings, config.num_frames, source)
    pixels = huggingface.read_pixels(source, config.image_size, offset=True)
    network = huggingface.load_network(
        VivitModel, config, source.weights(), UNUSED, source, settings, add_pooling_layer=False
    )
    spec = huggingface.video_spec(
        "vivit", config.num_frames, config.tubelet_size[0], config.hidden_size, pixels, source
    )
    return ViViT(spec, network, source.origin(source.json(huggingface.CONFIG), pixels.config))
