"""TimeSformer of transformers: a step is a frame; the CLS token, which is one for all frames, is left out."""

from __future__ import annotations

from torch import Tensor

from vidkd.backbones import huggingface
from vidkd.backbones.protocol import Backbone
from vidkd.backbones.source import find_source
from vidkd.config.backbones import BackboneSettings

UNUSED = ("classifier.",)


class TimeSformer(Backbone):
    """S = patches of a frame."""

    def encode(self, clip_BTCHW: Tensor) -> Tensor:
        """Tokens after the last norm, without CLS."""
        token_BND = self.network(clip_BTCHW).last_hidden_state[:, 1:]
        # Here patches are slowest and frames fastest, unlike in every other network.
        return token_BND.unflatten(1, (-1, self.spec.steps)).transpose(1, 2)


def load(settings: BackboneSettings) -> TimeSformer:
    """A checkpoint from a folder as on the hub.

    Raises:
        UserError: see `load_backbone`.
    """
    from transformers import TimesformerModel

    source = find_source(settings)
    config = huggingface.read_config(source, "timesformer")
    huggingface.refuse_frames(settings, config.num_frames, source)
    pixels = huggingface.read_pixels(source, config.image_size)
    network = huggingface.load_network(TimesformerModel, config, source.weights(), UNUSED, source, settings)
    spec = huggingface.video_spec("timesformer", config.num_frames, 1, config.hidden_size, pixels, source)
    return TimeSformer(spec, network, source.origin(source.json(huggingface.CONFIG), pixels.config))
