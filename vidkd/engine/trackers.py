"""Sends each row of a training's history to TensorBoard, W&B or MLflow while it runs, through accelerate."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.tracking import get_available_trackers

from vidkd.engine.processes import index
from vidkd.errors import UserError

log = logging.getLogger(__name__)

PROJECT = "vidkd"
SWITCH = "VIDKD_TRACKERS"
"""Names them; `compute.trackers` sets it for every job, for an option would be a reason to train again."""


def _harmless(act: Callable[..., None]) -> Callable[..., None]:
    """What fails in a tracker, such as a server that is away, ends the curves and not the training."""

    @wraps(act)
    def acting(self: Trackers, *arguments: Any) -> None:
        try:
            if self.wanted:
                act(self, *arguments)
        except Exception as error:
            log.warning("no curves from here on: %s", error)
            self.wanted = []

    return acting


class Trackers:
    """The trackers of the training whose state is in `RUN/.state` or `RUN/.state/TRIAL`."""

    def __init__(self, state_dir: Path) -> None:
        run, _, trial = str(state_dir).rpartition("/.state")
        self.run, self.name, self.folder = run, run + trial, Path(f"{run}/tensorboard{trial}")
        self.wanted = [name for name in os.environ.get(SWITCH, "").split(",") if name and index() == 0]
        for name in set(self.wanted) - {tracker.value for tracker in get_available_trackers()}:
            raise UserError(
                f"compute.trackers: {name} is not installed: run `pip install '.[{name}]'` in the project's "
                "folder, or leave it out (there are tensorboard, wandb and mlflow)."
            )

    @_harmless
    def start(self, steps: int) -> None:
        """Start, or go on, after so many steps of the optimizer."""
        for file in self.folder.glob(f"{PROJECT}/events.out.tfevents.*") if steps == 0 else ():
            file.unlink()
        self.accelerator = Accelerator(log_with=self.wanted, project_dir=self.folder)
        # TensorBoard drops what older files have from `purge_step` on, which is trained again.
        options = {
            "tensorboard": {"purge_step": steps + 1 if steps else 0},
            "wandb": {"name": self.name, "dir": self.run},
            "mlflow": {"run_name": self.name},
        }
        self.accelerator.init_trackers(PROJECT, init_kwargs=options)

    @_harmless
    def add(self, row: Mapping[str, float], steps: int) -> None:
        """Add a row of the history after so many steps: a point to the curve of each column."""
        self.accelerator.log({name: float(value) for name, value in row.items()}, step=steps)

    @_harmless
    def close(self) -> None:
        """Finish each tracker; accelerate's `end_training` would part the processes as well."""
        for tracker in self.accelerator.trackers:
            tracker.finish()
