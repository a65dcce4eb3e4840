"""The files of a trained run, alike for every method: `model.safetensors`, `config.json`, `history.csv`."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors.torch import save
from torch import Tensor

from vidkd.artefacts import check
from vidkd.engine.weights import listed, not_finite
from vidkd.errors import UserError
from vidkd.files import atomic, write_text

log = logging.getLogger(__name__)

RUN_FILES = ("model.safetensors", "config.json", "history.csv")

NETWORK = "model."
"""Where a method has the network that it trains; nothing else of it (a frozen teacher, say) is written."""


def write_files(
    run_dir: Path,
    history: Sequence[Mapping[str, float]],
    config: Mapping[str, object],
    weights: Mapping[str, Tensor],
) -> None:
    """Write RUN_FILES, the weights last.

    Raises:
        UserError: a weight is not a finite number.
    """
    if wrong := not_finite(weights):
        raise UserError(
            f"the weights became NaN or infinite in training ({listed(wrong)}): lower lr, set clip_grad, or "
            "use precision bf16 or no."
        )
    with atomic(run_dir / "history.csv") as temporary:
        pd.DataFrame(history).to_csv(temporary, index=False)
    write_text(run_dir / "config.json", json.dumps(config, indent=2) + "\n")
    # Through memory: on a full disk save_file fails with an error of its own.
    with atomic(run_dir / "model.safetensors") as temporary:
        temporary.write_bytes(save({name: value.contiguous() for name, value in weights.items()}))
    log.info("weights in %s", run_dir / "model.safetensors")


def read_config(weights: Path) -> dict[str, Any]:
    """The `config.json` beside `weights`: settings, classes, seed and best epoch.

    Raises:
        UserError: there is none, or it is damaged.
    """
    path = weights.with_name("config.json")
    if not path.is_file():
        raise UserError(f"{path} is missing: it says which network {weights.name} belongs to.")
    try:
        config: dict[str, Any] = json.loads(check(path).read_text(encoding="utf-8"))
        if not isinstance(config, dict):
            raise ValueError("it is no JSON object")
    except ValueError as error:
        raise UserError(
            f"{path} is damaged ({error}): it says which network {weights.name} belongs to. Delete the run's "
            "folder and train again."
        ) from error
    return config
