"""Checkpoints in the layout of the original VideoMAE and AMD code, and what they compute, in plain torch."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

WRAPPERS = {
    "bare": lambda state: state,
    "module": lambda state: {"module": state, "epoch": 39, "ds_config": {"train_batch_size": 8}},
    "model": lambda state: {"model": state, "epoch": 39},
}


def encoder(width: int, depth: int, seed: int = 0, side: int = 16) -> dict[str, Tensor]:
    """Patch embedding and blocks, random, under the official names."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int, around: float = 0.0, scale: float = 0.05) -> Tensor:
        return around + scale * torch.randn(shape, generator=generator)

    state = {
        "patch_embed.proj.weight": draw(width, 3, 2, side, side, scale=0.02),
        "patch_embed.proj.bias": draw(width),
    }
    for i in range(depth):
        shapes = {"attn.proj": (width, width), "mlp.fc1": (4 * width, width), "mlp.fc2": (width, 4 * width)}
        for norm in ("norm1", "norm2"):
            state[f"blocks.{i}.{norm}.weight"] = draw(width, around=1.0)
            state[f"blocks.{i}.{norm}.bias"] = draw(width)
        state[f"blocks.{i}.attn.qkv.weight"] = draw(3 * width, width)
        state[f"blocks.{i}.attn.q_bias"] = draw(width, scale=0.5)
        state[f"blocks.{i}.attn.v_bias"] = draw(width, scale=0.5)
        for name, shape in shapes.items():
            state[f"blocks.{i}.{name}.weight"] = draw(*shape, scale=0.02)
            state[f"blocks.{i}.{name}.bias"] = draw(shape[0])
    return state


def finetuned(width: int, depth: int, classes: int = 7) -> dict[str, Tensor]:
    """As the fine-tuning code saves it."""
    generator = torch.Generator().manual_seed(1)
    return encoder(width, depth) | {
        "fc_norm.weight": 1 + 0.1 * torch.randn(width, generator=generator),
        "fc_norm.bias": 0.1 * torch.randn(width, generator=generator),
        "head.weight": 0.05 * torch.randn(classes, width, generator=generator),
        "head.bias": 0.1 * torch.randn(classes, generator=generator),
    }


def pretrained(width: int, depth: int) -> dict[str, Tensor]:
    """As AMD's pre-training code saves it: encoder, decoder, generators and projections."""
    inner = encoder(width, depth) | {"norm.weight": torch.rand(width) + 0.5, "norm.bias": torch.rand(width)}
    state = {f"encoder.{name}": value for name, value in inner.items()}
    state |= {f"decoder.{name}": value for name, value in encoder(192, 1).items() if "blocks" in name}
    state |= {f"generators.0.{name}": value for name, value in encoder(64, 1).items() if "blocks" in name}
    return state | {
        "mask_token": torch.zeros(1, 1, 192),
        "encoder_to_decoder.weight": torch.rand(192, width),
        "encoder.projection_heads.0.weight": torch.rand(64, width),
        "decoder.norm.weight": torch.rand(192),
        "decoder.head.weight": torch.rand(1536, 192),
    }


def positions(count: int, width: int) -> Tensor:
    """Sines at even and cosines at odd features, of position / 10000^(2 floor(j / 2) / width)."""
    feature = torch.arange(width, dtype=torch.float64)
    angle = torch.arange(count, dtype=torch.float64)[:, None] / 10000 ** (2 * (feature // 2) / width)
    return torch.where(feature % 2 == 0, angle.sin(), angle.cos()).float()


def run(state: dict[str, Tensor], heads: int, clip_BTCHW: Tensor) -> Tensor:
    """Tokens (B, N, D) after the last block, of normalised clips."""
    weight = state["patch_embed.proj.weight"]
    patch = F.conv3d(
        clip_BTCHW.transpose(1, 2), weight, state["patch_embed.proj.bias"], stride=weight.shape[2:]
    )
    x_BND = patch.flatten(2).transpose(1, 2)
    x_BND = x_BND + positions(*x_BND.shape[1:])
    depth = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("blocks."))
    for i in range(depth):
        block = {
            name.removeprefix(f"blocks.{i}."): value
            for name, value in state.items()
            if name.startswith(f"blocks.{i}.")
        }
        x_BND = x_BND + attention(norm(x_BND, block, "norm1"), block, heads)
        hidden = F.gelu(linear(norm(x_BND, block, "norm2"), block, "mlp.fc1"))
        x_BND = x_BND + linear(hidden, block, "mlp.fc2")
    return x_BND


def attention(x_BND: Tensor, block: dict[str, Tensor], heads: int) -> Tensor:
    bias = torch.cat([block["attn.q_bias"], torch.zeros_like(block["attn.q_bias"]), block["attn.v_bias"]])
    qkv = F.linear(x_BND, block["attn.qkv.weight"], bias).unflatten(2, (3, heads, -1))
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    weights = ((q / math.sqrt(q.shape[-1])) @ k.transpose(2, 3)).softmax(3)
    return linear((weights @ v).transpose(1, 2).flatten(2), block, "attn.proj")


def classify(token_BND: Tensor, state: dict[str, Tensor]) -> Tensor:
    """Logits (B, classes): the head on the norm of the mean."""
    return linear(norm(token_BND.mean(1), state, "fc_norm"), state, "head")


def norm(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"], eps=1e-6)


def linear(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    return F.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])
