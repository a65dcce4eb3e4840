"""Train one run of any method: each goes through the same loop and is written in the same way."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from torch import Tensor, nn

from vidkd import lazy
from vidkd.config.training import TrainingSettings
from vidkd.engine.checkpoint import drop_state, only_run
from vidkd.engine.loop import Data, Progress, Trainer
from vidkd.engine.run import NETWORK, write_files
from vidkd.engine.runtime import explain_oom
from vidkd.methods.inputs import Inputs
from vidkd.registry import find_method

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fitted:
    """What a training ends with.

    Attributes:
        history: rows of `history.csv`.
        config: `config.json`.
        weights: `model.safetensors`.
    """

    history: Sequence[Mapping[str, Any]]
    config: Mapping[str, object]
    weights: Mapping[str, Tensor]


@dataclass(frozen=True)
class Job:
    """One training as it was asked for.

    Attributes:
        settings: of the training.
        inputs: what it reads.
        run_dir: folder of the run.
        seed: of the weights, the order and the augmentation.
        stamp: digest of all that the result depends on; a state of another one is not used.
        workers: loader processes; no effect on the result.
        about: further entries of `config.json`: `method`, `run`.
        max_batches: cut training and validation to so many batches (a test run).
        save_steps: steps after which the state is saved, beside each two minutes.
        held: what is released when the run is written.
        holding: folders that are held.
    """

    settings: Any
    inputs: Inputs
    run_dir: Path
    seed: int
    stamp: str
    workers: int = 0
    about: Mapping[str, object] = field(default_factory=dict)
    max_batches: int | None = None
    save_steps: int | None = None
    held: ExitStack = field(default_factory=ExitStack, repr=False)
    holding: set[Path] = field(default_factory=set, repr=False)

    @property
    def state_dir(self) -> Path:
        """Where the training keeps what it goes on from."""
        return self.run_dir / ".state"

    def loop(
        self,
        method: nn.Module,
        groups: list[dict[str, Any]],
        data: Data,
        validate: Callable[[Any], tuple[float, dict[str, float]]],
        settings: TrainingSettings,
        accelerator: Accelerator,
        *,
        knob: str,
        part: str = "",
    ) -> Progress:
        """Go through the epochs, or on from where a stopped training was.

        Args:
            method: the network with its loss terms.
            groups: of the optimizer.
            data: training batches.
            validate: gives the figure that chooses the best epoch, and columns of `history.csv`.
            settings: of this training.
            accelerator: of this process.
            knob: the setting to lower when memory is short, and how.
            part: of a job that trains several times: the name of this time.

        Raises:
            UserError: memory is too small, or the loss diverged.
        """
        self._hold()
        folder = self.state_dir / part
        with explain_oom(knob):
            return Trainer(
                method, groups, data, validate, settings, accelerator, self.seed, folder, self.stamp,
                self.save_steps,
            ).fit()  # fmt: skip

    def _hold(self) -> None:
        """Hold the run's folder for this training alone, from its first step until the run is written."""
        if self.state_dir not in self.holding:
            self.held.enter_context(only_run(self.state_dir))
            self.holding.add(self.state_dir)

    def fitted(self, result: Progress, settings: TrainingSettings, **about: object) -> Fitted:
        """Take the best epoch of a training.

        Args:
            result: of `loop`; the weights are those of the network, without the method around it.
            settings: of the training, as they turned out.
            **about: further entries of `config.json`, such as `classes` in the order of their label ids.
        """
        weights = {
            name.removeprefix(NETWORK): value
            for name, value in result.best_weights.items()
            if name.startswith(NETWORK)
        }
        log.info("best epoch %g of %d", result.best_epoch, settings.epochs)
        config = {
            "settings": settings.model_dump(mode="json"), "seed": self.seed, "best_epoch": result.best_epoch,
        }  # fmt: skip
        return Fitted(result.history, {**config, **self.about, **about}, weights)


def train(method: str, job: Job, record: Callable[[], None] = lambda: None) -> None:
    """Train, and write `model.safetensors`, `config.json` and `history.csv` into the folder of the run.

    A run that was stopped goes on from its state when the stamp (settings, code, inputs) is the same.

    Args:
        method: by name.
        job: the training.
        record: writes what lies beside these files; the state is dropped only then, so that a signal costs
            nothing up to the very end.

    Raises:
        UserError: the inputs cannot serve these settings, something does not fit together, memory is too
            small, or the loss diverged.
    """
    make: Callable[[Job], Fitted] = lazy.load(find_method(method).TRAIN)
    with ExitStack() as held:
        fitted = make(replace(job, held=held, holding=set()))
        write_files(job.run_dir, fitted.history, fitted.config, fitted.weights)
        record()
        drop_state(job.state_dir)
