"""CLIP: any model of open_clip, frame by frame; a frame's feature is its projected embedding."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import vidkd.torchvision_ops  # noqa: F401 - must come before torchvision, which open_clip imports

# isort: split

import open_clip
import torch
from open_clip.convert import convert_state_dict
from open_clip.model import convert_to_custom_text_state_dict
from torch import Tensor, nn
from transformers import dynamic_module_utils

from vidkd.backbones.protocol import Backbone, BackboneSpec, meaning
from vidkd.backbones.source import Source, fill, find_source
from vidkd.config.backbones import FRAMES, BackboneSettings
from vidkd.errors import UserError

CONFIG = "open_clip_config.json"
UNUSED = ("text.transformer.embeddings.position_ids",)
"""What older files hold beside the network: counted by the network itself today."""


class CLIP(Backbone):
    """A step is a frame; S = 1."""

    def encode(self, clip_BTCHW: Tensor) -> Tensor:
        """Embeddings (B, T, 1, D) in the space shared with texts, of any length."""
        frame_ND = self.network.encode_image(clip_BTCHW.flatten(0, 1))
        return frame_ND.unflatten(0, clip_BTCHW.shape[:2]).unsqueeze(2)

    @torch.no_grad()
    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Embeddings (N, D) in the space shared with frames, of any length.

        Raises:
            UserError: no tokenizer comes of the checkpoint's files.
        """
        tokenizer = _tokenizer(self.origin.folder, self.origin.name)
        embedding_ND: Tensor = self.network.encode_text(tokenizer(list(texts)).to(self.normalise.mean.device))
        return embedding_ND


def load(settings: BackboneSettings) -> CLIP:
    """An open_clip model from a folder as on the hub: open_clip_config.json beside the weights.

    It sees the middle square of a frame, also where its own preprocessing would squash the frame.

    Raises:
        UserError: see `load_backbone`.
    """
    source = find_source(settings)
    config = source.json(CONFIG)
    network = _build(source)
    frames = settings.frames or FRAMES
    mean, std = _colours(config, source)
    spec = BackboneSpec(
        "clip", frames, _size(network, source), 1.0, mean, std, _width(config), frames, meaning(1)
    )
    _fill(network, source)
    return CLIP(spec, network, source.origin(config))


def _build(source: Source) -> nn.Module:
    try:
        with _silence():
            return open_clip.create_model(
                f"local-dir:{source.folder.resolve()}", load_weights=False, pretrained_text=False
            )
    except (ValueError, TypeError, KeyError, RuntimeError, AssertionError, OSError) as error:
        raise UserError(
            f"{source.name}: open_clip {open_clip.__version__} makes no network of {CONFIG} ({error})"
        ) from error


def _tokenizer(folder: Path, name: str) -> Any:
    text = json.loads((folder / CONFIG).read_text(encoding="utf-8"))["model_cfg"].get("text_cfg", {})
    # What a checkpoint says reaches transformers, trust_remote_code too; open_clip's own tokenizer has none.
    options = {"trust_remote_code": False} if text.get("hf_tokenizer_name") else {}
    try:
        with _silence():
            return open_clip.get_tokenizer(f"local-dir:{folder}", **options)
    except (ValueError, TypeError, KeyError, AttributeError, OSError) as error:
        raise UserError(
            f"{name}: its files make no tokenizer, or one that would run code of theirs, which is never done "
            f"({type(error).__name__}). Fetch them again, or take another checkpoint."
        ) from error


@contextmanager
def _silence() -> Iterator[None]:
    """Keep from the log where open_clip looks, and that a network is random: its weights follow.

    Nor is anybody asked on the terminal whether to run code that a checkpoint brings: it is not run.
    """
    before, seconds = logging.root.manager.disable, dynamic_module_utils.TIME_OUT_REMOTE_CODE
    logging.disable(logging.WARNING)
    dynamic_module_utils.TIME_OUT_REMOTE_CODE = 0
    try:
        yield
    finally:
        logging.disable(before)
        dynamic_module_utils.TIME_OUT_REMOTE_CODE = seconds


def _fill(network: nn.Module, source: Source) -> None:
    found = convert_state_dict(network, source.weights())
    state = network.state_dict()
    if "positional_embedding" in found and "positional_embedding" not in state:
        found = convert_to_custom_text_state_dict(found)
    # The two scalars of the loss are () in some files and (1,) in others.
    found = {
        name: value.reshape(state[name].shape) if name.startswith("logit_") and name in state else value
        for name, value in found.items()
    }
    fill(network, found, UNUSED, source.name)


def _size(network: Any, source: Source) -> int:
    high, wide = network.visual.image_size
    if high != wide:
        raise UserError(f"{source.name}: it takes {wide}x{high} pixels; only square frames are made here")
    return int(high)


def _width(config: dict[str, Any]) -> int:
    return int(config["model_cfg"]["embed_dim"])


def _colours(config: dict[str, Any], source: Source) -> tuple[Any, Any]:
    preprocess = config.get("preprocess_cfg") or {}
    if not all(len(preprocess.get(name) or ()) == 3 for name in ("mean", "std")):
        raise UserError(
            f"{source.name}: {CONFIG} has no preprocess_cfg with mean and std of three colours: without them "
            "the network sees other pixels than it was trained on. Take the file of the model's repository."
        )
    return tuple(preprocess["mean"]), tuple(preprocess["std"])
