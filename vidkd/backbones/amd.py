"""Original VideoMAE and AMD checkpoints, read into the VideoMAE of transformers.

The layout is that of github.com/MCG-NJU/VideoMAE and github.com/MCG-NJU/AMD: fine-tuned files have
`patch_embed`, `blocks`, `fc_norm` and `head`; pre-trained ones have `encoder.` in front, a last `norm`, and
parts for pre-training only. Queries and values have biases, keys have none. Positions are fixed. What the
network is follows from the shapes, all but the number of heads, which follows from the width. Of a network
that is none of the published, what the file does not say lies beside it, in a folder.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

import vidkd.torchvision_ops  # noqa: F401 - must come before torchvision, which transformers imports

# isort: split

import torch
from torch import Tensor, nn
from transformers import VideoMAEConfig, VideoMAEForVideoClassification

from vidkd.backbones.huggingface import CONFIG, PREPROCESSORS, Pixels
from vidkd.backbones.source import OF_TRANSFORMERS, Source, check_names
from vidkd.config.backbones import BackboneSettings
from vidkd.errors import UserError

log = logging.getLogger(__name__)

PIXELS = Pixels(224, 1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), {})
"""What the original code gives every one of its networks; a checkpoint does not say."""

BESIDE = ("num_attention_heads", "image_size", "num_frames")
"""What a checkpoint does not say either, under the names that CONFIG has for it where it lies beside one."""

_FRAMES = 16
_HEADS = {384: 6, 768: 12, 1024: 16, 1280: 16, 1408: 16}
"""Attention heads by width of the published networks: ViT-S, B, L, H, g."""

_EPS = 1e-6
"""Of every norm in the original code; transformers has 1e-12 and 1e-5."""

_PREFIXES = ("module.", "backbone.", "encoder.")
_PRETRAINING = (
    "decoder.",
    "encoder_to_decoder.",
    "mask_token",
    "projection_heads.",
    "generators.",
    "generator_mask_tokens",
)
"""Parts of pre-training, which no feature passes through."""

_OUTER = {
    "videomae.embeddings.patch_embeddings.projection": "patch_embed.proj",
    "videomae.layernorm": "norm",
    "fc_norm": "fc_norm",
    "classifier": "head",
}
_INNER = {
    "layernorm_before": "norm1",
    "layernorm_after": "norm2",
    "attention.output.dense": "attn.proj",
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
}
"""Modules of transformers' network and of its layers, and what the original code calls them."""

_BIASES = {"query": "attn.q_bias", "value": "attn.v_bias"}
_THIRDS = ("query", "key", "value")
"""Order of the parts of `attn.qkv.weight`."""


def is_original(weights: Mapping[str, Tensor]) -> bool:
    """Whether tensors are named as in the original code."""
    return any(name.endswith("attn.qkv.weight") for name in weights)


def load_original(
    weights: Mapping[str, Tensor], settings: BackboneSettings, source: Source
) -> VideoMAEForVideoClassification:
    """The network of an original checkpoint; its classifier is an identity where the file has no head.

    Args:
        weights: as the file has them, outer wrappers such as `module` or `model` taken off.
        settings: frames and attention.
        source: the checkpoint: what lies beside it, and for messages.

    Raises:
        UserError: a tensor is missing or unknown, a bias is zero, or nothing says a network of this width.
    """
    found = _bare(weights)
    _refuse_zero_biases(found, source)
    model = new_network(_config(found, settings, source))
    _fill(model, found, source)
    return model


def new_network(config: VideoMAEConfig) -> VideoMAEForVideoClassification:
    """Build a network with random weights, whose norms have the epsilon of the original code."""
    config.layer_norm_eps = _EPS
    model = VideoMAEForVideoClassification(config)
    if model.fc_norm is not None:  # its epsilon is no setting of the library
        model.fc_norm.eps = _EPS
    return model


def read_beside(settings: BackboneSettings, source: Source) -> dict[str, Any]:
    """What the folder's CONFIG says of BESIDE; empty without one: the network is one of the published.

    Only in a folder: beside a file that is named by itself may lie what belongs to other networks.

    Raises:
        UserError: it does not say all of it.
    """
    if settings.file is not None or not (source.folder / CONFIG).is_file():
        return {}
    found = source.json(CONFIG)
    if wrong := [name for name in BESIDE if not isinstance(found.get(name), int) or found[name] < 1]:
        raise UserError(
            f"{source.name}: {CONFIG} does not say {', '.join(wrong)} in whole numbers, and weights in the "
            "original layout say nothing of it. Complete it; of a published network, name the file alone, by "
            "file and sha256."
        )
    return {name: found[name] for name in BESIDE}


def original_state(model: VideoMAEForVideoClassification) -> dict[str, Tensor]:
    """All tensors of a network under their original names, on the CPU: what `load_original` reads."""
    parts: dict[str, dict[int, Tensor]] = {}
    for name, value in model.state_dict().items():
        origin, third = _original_name(name)
        parts.setdefault(origin, {})[third or 0] = value.cpu()
    return {origin: torch.cat([part[i] for i in sorted(part)]) for origin, part in parts.items()}


def refuse_heads(width: int, heads: int, source: Source) -> None:
    """Refuse a published width with other heads: converted files of ViT-S say 16 and compute something else.

    Raises:
        UserError: the heads are not those of the network of this width.
    """
    if heads != _HEADS.get(width, heads):
        raise UserError(
            f"{source.name}: its config says {heads} attention heads of {width / heads:g}; the network of "
            f"width {width} has {_HEADS[width]} of {width / _HEADS[width]:g}, and with others it computes "
            "something else. Mend num_attention_heads in config.json, or take the original checkpoint."
        )


def _bare(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without prefixes and without the parts of pre-training."""
    found = {}
    for name, value in weights.items():
        for prefix in _PREFIXES:
            name = name.removeprefix(prefix)
        if not name.startswith(_PRETRAINING):
            found[name] = value
    return found


def _refuse_zero_biases(found: Mapping[str, Tensor], source: Source) -> None:
    zero = [name for name, value in found.items() if re.search(r"attn\.[qv]_bias$", name) and not value.any()]
    if zero:
        raise UserError(
            f"{source.name}: {', '.join(zero[:4])} is all zeros, which no trained network has: the file is "
            "damaged, or was converted by something that lost the biases. Fetch the original again."
        )


def _config(found: Mapping[str, Tensor], settings: BackboneSettings, source: Source) -> VideoMAEConfig:
    """What the shapes say, and what the original code fixes."""
    patch = found.get("patch_embed.proj.weight")
    hidden = found.get("blocks.0.mlp.fc1.weight")
    if patch is None or hidden is None or patch.ndim != 5:
        raise UserError(
            f"{source.name}: patch_embed.proj.weight and blocks.0.mlp.fc1.weight say what network this is, "
            "and one of them is missing: it is not an original VideoMAE or AMD checkpoint"
        )
    width, _, tubelet, side, _ = patch.shape
    beside = read_beside(settings, source)
    heads = _heads(width, beside, source)
    head = found.get("head.weight")
    blocks = [int(match[1]) for name in found if (match := re.match(r"blocks\.(\d+)\.", name))]
    depth = 1 + max(blocks)
    log.info("%s: %d wide, %d blocks, %d heads", source.name, width, depth, heads)
    more = {"num_labels": 0 if head is None else len(head), "attn_implementation": settings.attention}
    return VideoMAEConfig(
        image_size=beside.get("image_size", PIXELS.size), patch_size=side, tubelet_size=tubelet,
        num_frames=settings.frames or beside.get("num_frames", _FRAMES),
        hidden_size=width, num_hidden_layers=depth, num_attention_heads=heads,
        intermediate_size=len(hidden), use_mean_pooling="norm.weight" not in found, **more,
    )  # fmt: skip


def _heads(width: int, beside: Mapping[str, Any], source: Source) -> int:
    """Attention heads, as the folder says or as the published network of this width has them."""
    heads: int | None = beside.get("num_attention_heads", _HEADS.get(width))
    if heads is None:
        raise UserError(
            f"{source.name}: the file does not say its attention heads, and no published network is {width} "
            f"wide; known: {', '.join(map(str, _HEADS))}. Of any other, set folder to one that holds the "
            f"file as {OF_TRANSFORMERS[1]}, its {PREPROCESSORS[1]}, and a {CONFIG} with {', '.join(BESIDE)}."
        )
    refuse_heads(width, heads, source)
    if width % heads:
        raise UserError(
            f"{source.name}: {CONFIG} says {heads} attention heads, by which its width of {width} does not "
            "divide: mend num_attention_heads"
        )
    return heads


def _fill(model: nn.Module, found: Mapping[str, Tensor], source: Source) -> None:
    """Load what `found` has under the original names, and refuse anything missing or unknown by these."""
    state = model.state_dict()
    origins = {name: _original_name(name) for name in state}
    fits: dict[str, Tensor] = {}
    wanted: dict[str, int] = dict.fromkeys((origin for origin, _ in origins.values()), 0)
    for name, (origin, third) in origins.items():
        wanted[origin] += state[name].numel()
        value = found.get(origin)
        if value is not None and third is not None:
            value = value.tensor_split(3)[third]
        if value is not None and value.shape == state[name].shape:
            fits[name] = value
    missing = {origins[name][0] for name in state.keys() - fits.keys()}
    check_names(wanted, sorted(missing), found.keys() - wanted.keys(), source.name)
    model.load_state_dict(fits)


def _original_name(name: str) -> tuple[str, int | None]:
    """What the original code calls a tensor, and which third of it, counted from 0, this is."""
    match = re.fullmatch(r"videomae\.encoder\.layer\.(\d+)\.(.+)\.(\w+)", name)
    if match is None:
        module, _, last = name.rpartition(".")
        return f"{_OUTER[module]}.{last}", None
    block, module, last = match.groups()
    if module in _INNER:
        return f"blocks.{block}.{_INNER[module]}.{last}", None
    part = module.removeprefix("attention.attention.")
    if last == "bias":
        return f"blocks.{block}.{_BIASES[part]}", None
    return f"blocks.{block}.attn.qkv.weight", _THIRDS.index(part)
