"""VideoMAE: of transformers, or an original VideoMAE or AMD checkpoint; a step is a tubelet of frames.

There is no CLS token. Features are tokens, so that `use_mean_pooling`, which is wrong in the hub's
configuration of videomae-base and would classify from the first patch, decides nothing but whether the
encoder's last norm exists: a pre-trained checkpoint has one, a fine-tuned one has a norm after the mean.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from vidkd.backbones import amd, huggingface
from vidkd.backbones.protocol import Backbone
from vidkd.backbones.source import Source, find_source
from vidkd.config.backbones import BackboneSettings

UNUSED = ("classifier.", "fc_norm.", "decoder.", "encoder_to_decoder.", "mask_token")
"""The head of a fine-tuned checkpoint, and the decoder of a pre-trained one."""


class VideoMAE(Backbone):
    """S = patches of a frame."""

    def encode(self, clip_BTCHW: Tensor) -> Tensor:
        """Tokens after the last layer, and after the last norm where there is one."""
        return self.by_step(self.network(clip_BTCHW).last_hidden_state)


def load(settings: BackboneSettings) -> VideoMAE:
    """A checkpoint from a folder as on the hub, or an original one; the names of its tensors tell which.

    An original one sees what the original code gives every network, or what the files beside it say.
    Its fixed positions take any number of frames that divides into tubelets.

    Raises:
        UserError: see `load_backbone`.
    """
    source = find_source(settings)
    weights = source.weights()
    if amd.is_original(weights):
        network = amd.load_original(weights, settings, source).videomae
        beside = amd.read_beside(settings, source)
        pixels = huggingface.read_pixels(source, beside["image_size"]) if beside else amd.PIXELS
        return _backbone(network, pixels, source, {"layout": "original"} | beside)
    return _from_transformers(weights, settings, source)


def _from_transformers(weights: dict[str, Tensor], settings: BackboneSettings, source: Source) -> VideoMAE:
    from transformers import VideoMAEModel

    config = huggingface.read_config(source, "videomae")
    amd.refuse_heads(config.hidden_size, config.num_attention_heads, source)
    pixels = huggingface.read_pixels(source, config.image_size)
    config.num_frames = settings.frames or config.num_frames
    network = huggingface.load_network(VideoMAEModel, config, weights, UNUSED, source, settings)
    return _backbone(network, pixels, source, source.json(huggingface.CONFIG))


def _backbone(network: Any, pixels: huggingface.Pixels, source: Source, written: dict[str, Any]) -> VideoMAE:
    config = network.config
    spec = huggingface.video_spec(
        "videomae", config.num_frames, config.tubelet_size, config.hidden_size, pixels, source
    )
    return VideoMAE(spec, network, source.origin(written, pixels.config))
