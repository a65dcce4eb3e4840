"""The training loop that every method shares.

A method is a module whose `forward(batch, generator)` returns named loss terms that add up to the loss. The
loop knows nothing else about it, and validation is a function it calls between epochs. Of several processes
each goes through the same steps with the same figures; the main one alone writes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from tqdm import tqdm

from vidkd.config.training import TrainingSettings
from vidkd.engine.checkpoint import load_state, save_state
from vidkd.engine.logging import LINE_EVERY_S, on_terminal
from vidkd.engine.optim import build_optimizer, build_schedule
from vidkd.engine.processes import highest, leave_to_main, sum_gradients, whole_batch
from vidkd.engine.runtime import Interrupted, StopSignal
from vidkd.engine.trackers import Trackers
from vidkd.errors import UserError

log = logging.getLogger(__name__)

_SAVE_EVERY_S = 120.0


class Data(Protocol):
    """Where the loop gets its batches."""

    steps_per_epoch: int

    def batches(self, epoch: int, start: int) -> Iterable[Any]:
        """The batches of an epoch from number `start` on, the same ones whenever they are asked for."""


@dataclass
class Progress:
    """Where a run is. Everything here, with the weights and the optimizer, is what a resumed run needs.

    Attributes:
        epoch: epochs that are done.
        batch: batches of the present epoch that are done.
        sums: each loss term, added up since the last row of `history`.
        seen: how many batches had the term.
        history: a row per finished epoch, or per validation in the middle of one.
        best: the figure of the best validation.
        best_epoch: passes over the data by then, a fraction in the middle of one; -1 before the first.
        waited: validations since then.
        best_weights: the method's weights then, on the CPU.
    """

    epoch: int = 0
    batch: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    best: float = float("-inf")
    best_epoch: float = -1
    waited: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict)


class Trainer:
    """One training run that can be stopped anywhere and go on as if it had not been."""

    def __init__(
        self,
        method: nn.Module,
        groups: list[dict[str, Any]],
        data: Data,
        validate: Callable[[Any], tuple[float, dict[str, float]]],
        settings: TrainingSettings,
        accelerator: Accelerator,
        seed: int,
        state_dir: Path,
        stamp: str,
        save_steps: int | None = None,
    ) -> None:
        """Build the optimizer and its schedule.

        Args:
            method: what is trained.
            groups: its parameters, as the optimizer takes them.
            data: its batches.
            validate: the figure that chooses the weights, and columns of `history.csv`.
            settings: of the training.
            accelerator: the device and the precision.
            seed: of what the method draws.
            state_dir: where the state is saved: at signals, after each epoch and every two minutes.
            stamp: a state with a different one is ignored.
            save_steps: steps of the optimizer after which it is saved as well.

        Raises:
            UserError: a tracker is asked for whose package is not installed.
        """
        self.save_steps = save_steps
        self.data, self.validate, self.settings = data, validate, settings
        self.accelerator, self.seed, self.state_dir, self.stamp = accelerator, seed, state_dir, stamp
        optimizer = build_optimizer(groups, settings)
        self.steps_per_epoch = -(-data.steps_per_epoch // settings.accumulate)
        self.schedule = build_schedule(optimizer, settings, self.steps_per_epoch)
        # As for evaluation: without DistributedDataParallel, see sum_gradients.
        self.method = accelerator.prepare_model(method, evaluation_mode=True)
        self.optimizer = accelerator.prepare_optimizer(optimizer)
        self.generator = torch.Generator().manual_seed(seed)
        self.progress = Progress()
        self.rate = 0.0  # of the last step
        self.stop = StopSignal()
        self.trackers = Trackers(state_dir)
        self.saved_at = time.monotonic()

    def fit(self) -> Progress:
        """Train to the end, or until validation has not improved for `patience` validations.

        With no epoch at all the weights are validated and kept as they are.

        Returns:
            The finished progress; `best_weights` are the method's weights at its best validation.

        Raises:
            Interrupted: a signal came; the state is saved.
            UserError: the loss is not a finite number.
        """
        self._resume()
        self.trackers.start(self._steps_done())
        with self.stop, closing(self.trackers):
            try:
                if self.settings.epochs == 0:
                    self._add_row({"epoch": 0, **self._validate(0)})
                while self.progress.epoch < self.settings.epochs and not self._out_of_patience():
                    if self._train_epoch():
                        self._finish_epoch()
            except RuntimeError as error:
                # A signal to each process by name kills the loader's, and their death can come in the middle
                # of a step: what is in memory is not to be saved then.
                if self.stop.received is None:
                    raise
                log.info("signal %d: the last saved state stays; run again to go on", self.stop.received)
                raise Interrupted(self.stop.received) from error
        leave_to_main()
        return self.progress

    def _train_epoch(self) -> bool:
        """Train to the end of the epoch; False where validation in the middle ran out of patience."""
        self.method.train()
        progress, total = self.progress, self.data.steps_per_epoch
        said = time.monotonic()
        title = f"epoch {progress.epoch + 1}/{self.settings.epochs}"
        batches = self.data.batches(progress.epoch, progress.batch)
        bar = tqdm(batches, title, total, initial=progress.batch, disable=not on_terminal(), leave=False)
        for batch in bar:
            self._train_batch(batch.to(self.accelerator.device))
            if not on_terminal() and time.monotonic() - said > LINE_EVERY_S:
                said = time.monotonic()
                log.info("%s batch %d/%d %s", title, progress.batch, total, self._means())
            if progress.batch % self.settings.accumulate == 0 and progress.batch < total:
                if self._validation_due():
                    self._close_row(progress.epoch + progress.batch / total, validate=True)
                    self.method.train()
                if self._out_of_patience():
                    self._save()
                    return False
                self._save_if_due()
        return True

    def _train_batch(self, batch: Any) -> None:
        with self.accelerator.autocast(), whole_batch(self.settings.batch_size):
            terms = self.method(batch, self.generator)
        loss = sum(terms.values())
        if not torch.isfinite(loss):
            values = ", ".join(f"{name} {value.item():g}" for name, value in terms.items())
            raise UserError(
                f"the loss became {loss.item()} in epoch {self.progress.epoch + 1} ({values}): "
                "lower lr, set clip_grad, or use precision bf16 or no."
            )
        progress, accumulate = self.progress, self.settings.accumulate
        first = progress.batch - progress.batch % accumulate
        self.accelerator.backward(loss / min(accumulate, self.data.steps_per_epoch - first))
        progress.batch += 1
        for name, value in terms.items():
            progress.sums[name] = progress.sums.get(name, 0.0) + value.item()
            progress.seen[name] = progress.seen.get(name, 0) + 1
        if progress.batch % accumulate == 0 or progress.batch == self.data.steps_per_epoch:
            self._step()

    def _step(self) -> None:
        sum_gradients(self.method)
        if self.settings.clip_grad is not None:
            self.accelerator.clip_grad_norm_(self.method.parameters(), self.settings.clip_grad)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.rate = float(self.schedule.get_last_lr()[0])
        self.schedule.step()

    def _finish_epoch(self) -> None:
        progress = self.progress
        progress.epoch, progress.batch = progress.epoch + 1, 0
        validate = progress.epoch == self.settings.epochs or self._validation_due()
        if validate or self.settings.validate_steps is None:
            self._close_row(progress.epoch, validate=validate)
        self.stop.agree()
        self._save()

    def _validation_due(self) -> bool:
        """Whether validation comes after the present step, that of the training's end aside."""
        progress, settings = self.progress, self.settings
        if settings.validate_steps is None:
            return progress.batch == 0 and progress.epoch % settings.validate_every == 0
        return self._steps_done() % settings.validate_steps == 0

    def _steps_done(self) -> int:
        return self.progress.epoch * self.steps_per_epoch + self.progress.batch // self.settings.accumulate

    def _close_row(self, epoch: float, *, validate: bool) -> None:
        """Add a row to the history: the means of the terms since the last one, and perhaps a validation."""
        progress = self.progress
        row: dict[str, float] = {"epoch": epoch, "lr": self.rate, **self._means()}
        progress.sums, progress.seen = {}, {}
        if validate:
            row |= self._validate(epoch)
        self._add_row(row)
        log.info("epoch %g/%d %s", epoch, self.settings.epochs, _words(row))

    def _add_row(self, row: dict[str, float]) -> None:
        self.progress.history.append(row)
        self.trackers.add(row, self._steps_done())

    def _validate(self, epoch: float) -> dict[str, float]:
        """Validate, and keep the weights if they are the best so far; the columns of `history.csv`."""
        score, metrics = self.validate(self.accelerator.unwrap_model(self.method))
        progress = self.progress
        progress.waited += 1
        if score > progress.best:
            progress.best, progress.best_epoch, progress.waited = score, epoch, 0
            progress.best_weights = self._weights()
        return metrics

    def _out_of_patience(self) -> bool:
        return self.settings.patience is not None and self.progress.waited >= self.settings.patience

    def _means(self) -> dict[str, float]:
        """Each loss term over the batches since the last row that had it: a drawn frame count has its own."""
        return {name: total / self.progress.seen[name] for name, total in self.progress.sums.items()}

    def _weights(self) -> dict[str, Tensor]:
        method = self.accelerator.unwrap_model(self.method)
        return {name: value.detach().cpu().clone() for name, value in method.state_dict().items()}

    def _save_if_due(self) -> None:
        self.stop.agree()
        on_time = time.monotonic() - self.saved_at >= _SAVE_EVERY_S
        on_step = self.save_steps is not None and self._steps_done() % self.save_steps == 0
        if on_time or on_step or self.stop.agreed is not None:
            self._save()

    def _save(self) -> None:
        if self.accelerator.is_main_process:
            self._write_state()
        self.saved_at = time.monotonic()
        if self.stop.agreed is not None:
            self.accelerator.wait_for_everyone()
            log.info("signal %d: state saved in %s; run again to go on", self.stop.agreed, self.state_dir)
            raise Interrupted(self.stop.agreed)

    def _write_state(self) -> None:
        scaler = self.accelerator.scaler
        save_state(
            self.state_dir,
            self.stamp,
            {
                "weights": self._weights(),
                "optimizer": self.optimizer.state_dict(),
                "schedule": self.schedule.state_dict(),
                "scaler": scaler.state_dict() if scaler is not None else {},
                "progress": vars(self.progress),
                "generator": self.generator.get_state(),
                "torch_rng": torch.get_rng_state(),
                "cuda_rng": [torch.cuda.get_rng_state()] if torch.cuda.is_available() else [],
            },
        )

    def _resume(self) -> None:
        state = load_state(self.state_dir, self.stamp)
        place = -1 if state is None else state["progress"]["epoch"] * 10**9 + state["progress"]["batch"]
        if highest(place) != -highest(-place):
            raise UserError(
                f"the processes of this training do not all see the same state in {self.state_dir}: give the "
                "same command again once the disk is sound"
            )
        if state is None:
            return
        self.accelerator.unwrap_model(self.method).load_state_dict(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        self.progress = Progress(**state["progress"])
        self.generator.set_state(state["generator"])
        torch.set_rng_state(state["torch_rng"])
        for of_device in state["cuda_rng"]:
            torch.cuda.set_rng_state(of_device)
        log.info("going on from epoch %d, batch %d", self.progress.epoch + 1, self.progress.batch)


def _words(row: dict[str, float]) -> str:
    return " ".join(f"{name} {value:.4g}" for name, value in row.items() if name != "epoch")
