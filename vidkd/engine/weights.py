"""Reading weights from files and hubs, and refusing a load that did not really happen."""

from __future__ import annotations

import argparse
import logging
import pickle
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from vidkd.artefacts import check
from vidkd.config.training import is_weights_file
from vidkd.errors import UserError

log = logging.getLogger(__name__)


def read_weights(source: str) -> dict[str, Tensor]:
    """Read the state dict of a weights file, or of a torchvision weights name.

    Raises:
        UserError: no such file or name, not a state dict, or the download failed.
    """
    return read_file(Path(source)) if is_weights_file(source) else _from_torchvision(source)


def torchvision_file(name: str) -> tuple[str, Path]:
    """Say where torchvision fetches the weights of this name, and where torch keeps them on this machine.

    Raises:
        UserError: torchvision knows no such name.
    """
    url = _torchvision_weights(name).url
    return url, Path(torch.hub.get_dir()) / "checkpoints" / Path(urlsplit(url).path).name


def read_file(path: Path) -> dict[str, Tensor]:
    """Read the state dict of a .safetensors file, or of one that torch wrote.

    Raises:
        UserError: no such file, damaged, or not a state dict.
    """
    if not path.is_file():
        raise UserError(
            f"weights: {path} does not exist. Give a .safetensors or .pth file, or a torchvision name."
        )
    check(path)
    if _is_page(path):
        raise UserError(
            f"weights: {path} cannot be read: it is a web page, such as a download page saved in place of "
            "the file. Fetch it again."
        )
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        # Trainers such as VideoMAE's keep their command line beside the weights: plain values only.
        with torch.serialization.safe_globals([argparse.Namespace]):
            state = torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise UserError(f"weights: {path} is not a safetensors file ({error}). Fetch it again.") from error
    except Exception as error:  # torch reports a foreign, truncated or unsafe file in many ways
        raise UserError(
            f"weights: {path} cannot be read as plain weights ({_reason(error)}). Fetch it again."
        ) from error
    return _unwrap(state, str(path))


def load_covered(model: nn.Module, found: Mapping[str, Tensor], fresh: tuple[str, ...], source: str) -> None:
    """Load `found` into `model`, both under the model's names, and refuse a partial fit.

    Args:
        model: module to load into.
        found: tensors by the model's own parameter names; of another shape counts as missing.
        fresh: beginnings of names that may stay as initialised (a new classifier).
        source: where the weights come from, for the message.

    Raises:
        UserError: a parameter or a running statistic, fresh ones aside, is not in `found`. A share of 99%
            would not do: all the BatchNorms of a ResNet are less than the last one.
    """
    fits = fitting(model, found, source)
    wanted = {
        name: value.numel()
        for name, value in model.state_dict().items()
        if value.is_floating_point() and not any(part in f".{name}" for part in fresh)
    }
    remedy = "It is a checkpoint of another architecture: choose one that fits the settings, such as `arch`."
    refuse_partial(wanted, [name for name in wanted if name not in fits], source, remedy)
    model.load_state_dict(fits, strict=False)


def fitting(model: nn.Module, found: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """Return those of `found` that have the name and the shape of a tensor of `model`.

    Raises:
        UserError: one of them has a value that is no finite number.
    """
    state = model.state_dict()
    fits = {
        name: value for name, value in found.items() if name in state and value.shape == state[name].shape
    }
    if wrong := not_finite(fits):
        raise UserError(
            f"weights: {source} has values that are NaN or infinite ({listed(wrong)}): the training that "
            "wrote it diverged. Give weights of another one."
        )
    return fits


def refuse_partial(wanted: Mapping[str, int], missing: Collection[str], source: str, remedy: str) -> None:
    """Say how much of a network its checkpoint covers, and refuse it when anything is missing.

    Args:
        wanted: numbers of values by name, of all that the checkpoint must have.
        missing: names that it has not, or has in another shape.
        source: where the weights come from, for the message.
        remedy: what to do, for the message.

    Raises:
        UserError: something is missing.
    """
    coverage = 1 - sum(wanted[name] for name in missing) / sum(wanted.values())
    if missing:
        coverage = min(coverage, 0.9999)  # 100% would read as if nothing were missing
        raise UserError(
            f"weights: {source} fits only {coverage:.2%} of the network's weights (missing or of "
            f"another shape: {listed(missing)}). {remedy}"
        )
    log.info("%s covers %.2f%% of %d values", source, 100 * coverage, sum(wanted.values()))


def listed(names: Collection[str]) -> str:
    """The first few names, on one line."""
    return ", ".join(list(names)[:4]) + (" …" if len(names) > 4 else "")


def not_finite(weights: Mapping[str, Tensor]) -> list[str]:
    """Name the tensors that have NaN or infinite values; of a mask, infinity is a value as any other."""
    return [
        name
        for name, value in weights.items()
        # Values of one byte are refused elsewhere: they mean nothing without their scales.
        if value.is_floating_point()
        and value.dtype.itemsize > 1
        and (value.isnan().any() if name.endswith("mask") else not value.isfinite().all())
    ]


def _is_page(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(256).lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml"))


def _reason(error: Exception) -> str:
    # Not torch's own text, which recommends to load the file with all the code in it.
    if isinstance(error, pickle.UnpicklingError) or "weights_only" in str(error):
        return "it holds other things than tensors, or is no checkpoint at all"
    return str(error).partition("\n")[0]


def _unwrap(state: object, source: str) -> dict[str, Tensor]:
    for wrapper in ("state_dict", "model", "module"):
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    ):
        raise UserError(f"weights: {source} holds no state dict (names and tensors).")
    return {name.removeprefix("module."): value for name, value in state.items()}


def _torchvision_weights(name: str) -> Any:
    import vidkd.torchvision_ops  # noqa: F401, I001 - must come before torchvision
    from torchvision.models import get_weight

    try:
        return get_weight(name)
    except (ValueError, KeyError) as error:
        raise UserError(
            f"weights: torchvision knows no weights named {name!r}, such as ResNet50_Weights.IMAGENET1K_V1."
        ) from error


def _from_torchvision(name: str) -> dict[str, Tensor]:
    weights = _torchvision_weights(name)
    try:
        return dict(weights.get_state_dict(progress=False, check_hash=True, weights_only=True))
    except OSError as error:
        raise UserError(
            f"weights: {name} could not be downloaded ({error}). Run snakemake download_weights where "
            "there is network, or name a file."
        ) from error
    except Exception as error:  # of a damaged download, or a damaged file in torch's cache
        raise UserError(
            f"weights: {name} cannot be read as plain weights ({_reason(error)}). Delete its file below "
            f"{torch.hub.get_dir()} and try again."
        ) from error
