"""Curves of a training for TensorBoard, while it runs: the rows of its history, and nothing else.

They are asked for by `VIDKD_TENSORBOARD=1` in the environment, which `compute.tensorboard` sets for every
job: as an option of the commands it would be a reason to train anew.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from vidkd.errors import UserError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

log = logging.getLogger(__name__)

SWITCH = "VIDKD_TENSORBOARD"
EVENTS = "events.out.tfevents.*"


class Board:
    """The curves of one training; where they are not asked for, nothing happens."""

    def __init__(self, state_dir: Path) -> None:
        """See that they can be written, before anything is trained.

        Args:
            state_dir: where the training saves its state: `.state` in the run's folder, or below it.

        Raises:
            UserError: they are asked for, and tensorboard is not installed.
        """
        self.folder, self.begin = _folder(state_dir), 0
        self.writer: SummaryWriter | None = None
        self.wanted = os.environ.get(SWITCH) == "1" and os.environ.get("RANK", "0") == "0"
        if self.wanted:
            _check_installed()

    def start(self, steps: int) -> None:
        """Say after how many steps of the optimizer the training starts, or goes on."""
        self.begin = steps + 1 if steps else 0
        if self.wanted and steps == 0:
            for file in self.folder.glob(EVENTS):
                file.unlink(missing_ok=True)

    def add(self, row: Mapping[str, float], steps: int) -> None:
        """Add a row of the history after so many steps: to each of its columns' curves a point."""
        if not self.wanted:
            return
        try:
            self._write(row, steps)
        except OSError as error:
            log.warning("no curves for TensorBoard from here on: %s", error)
            self.wanted = False

    def close(self) -> None:
        """End the thread that writes."""
        if self.writer is not None:
            with suppress(OSError):
                self.writer.close()

    def _write(self, row: Mapping[str, float], steps: int) -> None:
        if self.writer is None:
            from torch.utils.tensorboard import SummaryWriter

            # Readers forget what older files have of these steps, which were done after the last saved state.
            self.writer = SummaryWriter(str(self.folder), purge_step=self.begin)
        for name, value in row.items():
            self.writer.add_scalar(name, value, steps)
        self.writer.flush()


def _folder(state_dir: Path) -> Path:
    """`RUN/tensorboard` for `RUN/.state`, and `RUN/tensorboard/trial0` for `RUN/.state/trial0`."""
    run, _, below = str(state_dir).rpartition("/.state")
    return Path(f"{run}/tensorboard{below}")


def _check_installed() -> None:
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"compute.tensorboard: tensorboard cannot be loaded ({error}): install it with "
            "`pip install '.[tensorboard]'` in the project's folder, or set compute.tensorboard to false."
        ) from error
