"""The training loop with a linear classifier: its steps, when it stops, what it writes down."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from vidkd.config.training import TrainingSettings
from vidkd.engine.loop import Progress, Trainer
from vidkd.engine.optim import one_group
from vidkd.engine.runtime import start
from vidkd.errors import UserError

FEATURES, CLASSES, ROWS = 6, 3, 24


class Linear(nn.Module):
    """A linear classifier of rows (B, features + 1), the label last."""

    def __init__(self, noise: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.fc, self.noise = nn.Linear(FEATURES, CLASSES), noise
        self.seen_dtypes: set[torch.dtype] = set()

    def forward(self, batch: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        rows = batch[:, :-1]
        rows = rows + self.noise * torch.randn(rows.shape, generator=generator)
        logits = self.fc(rows)
        self.seen_dtypes.add(logits.dtype)
        terms = {
            "ce_loss": cross_entropy(logits.float(), batch[:, -1].long()),
            "size_loss": 1e-4 * self.fc.weight.square().sum(),
        }
        # A term that some batches do not have, as with a frame count drawn at random.
        return terms | ({"late_loss": 0.01 * logits.float().square().mean()} if batch[0, 0] > 0 else {})


@dataclass
class Rows:
    """Learnable rows in batches, the same whenever they are asked for."""

    size: int = 8
    fails_at: tuple[int, int] | None = None
    rows: Tensor = field(init=False)

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(1)
        rows = torch.randn(ROWS, FEATURES, generator=generator)
        self.rows = torch.cat([rows, rows[:, :CLASSES].argmax(1, keepdim=True)], dim=1)
        self.steps_per_epoch = ROWS // self.size

    def order(self, epoch: int) -> Tensor:
        return self.rows[torch.randperm(ROWS, generator=torch.Generator().manual_seed(epoch))]

    def batches(self, epoch: int, start: int) -> Iterator[Tensor]:
        for number in range(start, self.steps_per_epoch):
            if (epoch, number) == self.fails_at:
                raise RuntimeError("the disk of the frames went away")
            yield self.order(epoch)[number * self.size : (number + 1) * self.size]


class Damaged(Rows):
    """A feature is no number from the second epoch on."""

    def order(self, epoch: int) -> Tensor:
        rows = super().order(epoch)
        if epoch:
            rows[:, 0] = math.nan
        return rows


class Scores:
    """A validation that gives the scores it is told, and remembers the weights it saw."""

    def __init__(self, *scores: float) -> None:
        self.scores, self.weights = list(scores), []

    def __call__(self, method: Linear) -> tuple[float, dict[str, float]]:
        self.weights.append({name: value.clone() for name, value in method.state_dict().items()})
        score = self.scores[len(self.weights) - 1] if self.scores else float(len(self.weights))
        return score, {"val_acc": score}


def fit(
    folder: Path, data: Rows, method: Linear | None = None, validate=None, save_steps=None, **settings
) -> tuple:
    """Train; returns the progress and the trained classifier."""
    recipe = {"optimizer": "sgd", "momentum": 0, "weight_decay": 0, "lr": 0.1, "schedule": "constant"}
    chosen = TrainingSettings(batch_size=data.size, **(recipe | settings))
    method = method or Linear()
    accelerator = start(chosen, 0)
    trainer = Trainer(
        method, one_group(method), data, validate or Scores(), chosen, accelerator, 0, folder, "mark",
        save_steps,
    )  # fmt: skip
    return trainer.fit(), method


def column(progress: Progress, name: str) -> list[float]:
    return [row[name] for row in progress.history]


def distance(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    return math.sqrt(sum((one[name] - other[name]).square().sum().item() for name in one))


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_two_batches_of_four_are_one_of_eight(tmp_path, optimizer):
    settings = {"epochs": 3, "optimizer": optimizer, "schedule": "cosine"}
    halves, whole = Rows(4), Rows(8)
    for data in (halves, whole):  # else one half may have the term that only some batches have
        data.rows[:, 0] = -data.rows[:, 0].abs()
    _, one = fit(tmp_path / "a", halves, accumulate=2, **settings)
    _, other = fit(tmp_path / "b", whole, **settings)
    for name, value in one.state_dict().items():
        torch.testing.assert_close(value, other.state_dict()[name], atol=1e-6, rtol=0)
    assert distance(one.state_dict(), Linear().state_dict()) > 1e-2


def test_patience_stops_and_the_best_epochs_weights_are_kept(tmp_path):
    validate = Scores(1, 3, 2, 3, 2, 9)
    progress, method = fit(tmp_path, Rows(), validate=validate, epochs=6, patience=2)
    assert column(progress, "epoch") == [1, 2, 3, 4]
    assert (progress.best, progress.best_epoch) == (3, 2)
    assert distance(progress.best_weights, validate.weights[1]) == 0
    assert distance(progress.best_weights, method.state_dict()) > 0


def test_patience_counts_validations_not_epochs(tmp_path):
    progress, _ = fit(tmp_path, Rows(), validate=Scores(5, 1, 1, 1), epochs=20, patience=2, validate_every=2)
    assert len(progress.history) == 6
    assert progress.best_epoch == 2


def test_without_patience_training_goes_to_the_end(tmp_path):
    progress, _ = fit(tmp_path, Rows(), validate=Scores(5, 4, 3, 2, 1), epochs=5)
    assert len(progress.history) == 5
    assert progress.best_epoch == 1


def test_validation_by_steps_has_a_row_for_each(tmp_path):
    """Nine steps in three epochs, of which every fourth and the last are followed by a validation."""
    data = Rows(8)
    validate = Scores(1, 3, 2)
    progress, _ = fit(tmp_path, data, validate=validate, epochs=3, validate_steps=4)
    assert column(progress, "epoch") == [4 / 3, 8 / 3, 3]
    assert progress.best_epoch == 8 / 3
    assert distance(progress.best_weights, validate.weights[1]) == 0
    assert len(validate.weights) == 3


def test_patience_by_steps_stops_in_the_middle_of_an_epoch_and_stays_stopped(tmp_path):
    settings = {"epochs": 9, "validate_steps": 1, "patience": 2}
    progress, _ = fit(tmp_path, Rows(8), validate=Scores(1, 3, 2, 2, 9), **settings)
    assert column(progress, "epoch") == pytest.approx([1 / 3, 2 / 3, 1, 4 / 3])
    again, _ = fit(tmp_path, Rows(8), validate=Scores(), **settings)
    assert again.history == progress.history
    assert distance(again.best_weights, progress.best_weights) == 0


def test_terms_between_validations_are_means_since_the_last(tmp_path):
    data = Rows(8)
    by_epoch, _ = fit(tmp_path / "epochs", data, epochs=2)
    by_step, _ = fit(tmp_path / "steps", data, epochs=2, validate_steps=1)
    steps = column(by_step, "ce_loss")
    assert column(by_step, "epoch") == pytest.approx([1 / 3, 2 / 3, 1, 4 / 3, 5 / 3, 2])
    assert column(by_epoch, "ce_loss") == pytest.approx([sum(steps[:3]) / 3, sum(steps[3:]) / 3])


def test_steps_count_accumulated_batches_once(tmp_path):
    """Six batches an epoch, two of them a step."""
    progress, _ = fit(tmp_path, Rows(4), epochs=1, accumulate=2, validate_steps=2)
    assert column(progress, "epoch") == [4 / 6, 1]


def test_stopped_between_validations_and_run_again_the_history_is_the_same(tmp_path):
    settings = {"epochs": 3, "validate_steps": 4, "save_steps": 1}
    straight, _ = fit(tmp_path / "straight", Rows(), Linear(noise=0.5), Scores(1, 3, 2), **settings)
    with pytest.raises(RuntimeError, match="went away"):
        fit(tmp_path / "stopped", Rows(fails_at=(1, 2)), Linear(noise=0.5), Scores(1), **settings)
    resumed, _ = fit(tmp_path / "stopped", Rows(fails_at=(1, 1)), Linear(noise=0.5), Scores(3, 2), **settings)
    assert resumed.history == straight.history
    assert resumed.best_epoch == straight.best_epoch
    assert distance(resumed.best_weights, straight.best_weights) == 0


def test_validate_every_and_always_at_the_end(tmp_path):
    validate = Scores(1, 2, 3)
    progress, _ = fit(tmp_path, Rows(), validate=validate, epochs=5, validate_every=2)
    assert [row["epoch"] for row in progress.history if "val_acc" in row] == [2, 4, 5]
    assert len(validate.weights) == 3


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"schedule": "cosine"}, lambda time: 0.1 * (1 + math.cos(math.pi * time / 6))),
        (
            {"schedule": "step", "milestones": (2, 4), "step_factor": 0.5},
            lambda time: 0.2 if time < 2 else 0.1 if time < 4 else 0.05,
        ),
        ({"schedule": "constant", "warmup_epochs": 4}, lambda time: 0.2 * min(time / 4, 1)),
    ],
    ids=["cosine", "step", "warm-up"],
)
@pytest.mark.parametrize(("size", "accumulate", "steps"), [(8, 1, 3), (4, 2, 3), (4, 4, 2)])
def test_the_rate_written_down_is_that_of_the_last_step_of_each_epoch(
    tmp_path, settings, expected, size, accumulate, steps
):
    progress, _ = fit(tmp_path, Rows(size), epochs=6, lr=0.2, accumulate=accumulate, **settings)
    rates = [expected(epoch - 1 / steps) for epoch in range(1, 7)]
    assert column(progress, "lr") == pytest.approx(rates, abs=1e-9)


@pytest.mark.parametrize(("size", "accumulate"), [(8, 1), (4, 4), (4, 100), (8, 2)])
def test_the_last_group_of_batches_counts_as_much_as_any(tmp_path, size, accumulate):
    """Six batches of four are a group of four and one of two: a step of each mean, not of half of it."""
    data = Rows(size)
    _, found = fit(tmp_path, data, epochs=1, lr=0.1, accumulate=accumulate, optimizer="sgd", momentum=0.0)
    by_hand = Linear()
    batches = list(data.batches(0, 0))
    for first in range(0, len(batches), accumulate):
        group = batches[first : first + accumulate]
        by_hand.zero_grad()
        for batch in group:
            (sum(by_hand(batch, torch.Generator()).values()) / len(group)).backward()
        with torch.no_grad():
            for parameter in by_hand.parameters():
                parameter -= 0.1 * parameter.grad
    for name, value in found.state_dict().items():
        torch.testing.assert_close(value, by_hand.state_dict()[name], atol=1e-6, rtol=0)


def test_clipping_bounds_a_step(tmp_path):
    moved = {}
    for clip in (None, 0.01):
        one_step = Rows(ROWS)
        _, method = fit(tmp_path / str(clip), one_step, epochs=1, lr=1.0, clip_grad=clip)
        moved[clip] = distance(method.state_dict(), Linear().state_dict())
    assert moved[None] > 0.1
    assert moved[0.01] == pytest.approx(0.01, rel=1e-3)


def test_bfloat16_computes_in_bfloat16_keeps_float32_weights_and_learns(tmp_path):
    progress, method = fit(tmp_path, Rows(), epochs=20, lr=0.5, precision="bf16")
    assert method.seen_dtypes == {torch.bfloat16}
    assert method.fc.weight.dtype == torch.float32
    losses = column(progress, "ce_loss")
    assert losses[-1] < 0.5 * losses[0]


def test_training_learns(tmp_path):
    progress, method = fit(tmp_path, Rows(), epochs=60, lr=0.5)
    rows = Rows().rows
    right = method.fc(rows[:, :-1]).argmax(1) == rows[:, -1]
    assert right.float().mean() > 0.9
    assert column(progress, "ce_loss")[-1] < 0.5 * column(progress, "ce_loss")[0]


def test_an_error_of_the_data_leaves_a_state_that_ends_in_the_same_weights(tmp_path):
    settings = {"epochs": 4, "optimizer": "adamw", "schedule": "cosine"}
    straight, _ = fit(tmp_path / "straight", Rows(), Linear(noise=0.5), **settings)
    with pytest.raises(RuntimeError, match="went away"):
        fit(tmp_path / "stopped", Rows(fails_at=(2, 1)), Linear(noise=0.5), **settings)
    assert [path.name for path in (tmp_path / "stopped").iterdir()] == ["state.pt"]
    data = Rows(fails_at=(1, 0))  # of an epoch that is done and must not be asked for again
    resumed, _ = fit(tmp_path / "stopped", data, Linear(noise=0.5), Scores(3, 4), **settings)
    assert resumed.history == straight.history
    assert distance(resumed.best_weights, straight.best_weights) == 0


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_state(tmp_path):
    data = Damaged()
    with pytest.raises(UserError, match=r"became nan in epoch 2 .*ce_loss nan.*lower lr"):
        fit(tmp_path, data, epochs=3)
    assert (tmp_path / "state.pt").exists()


def test_history_names_every_term_and_metric(tmp_path):
    progress, _ = fit(tmp_path, Rows(), epochs=2)
    assert set(progress.history[0]) == {"epoch", "lr", "ce_loss", "size_loss", "late_loss", "val_acc"}
    assert column(progress, "epoch") == [1, 2]


def test_history_holds_the_mean_over_the_batches_that_have_a_term(tmp_path):
    """At a rate too small to move anything, the means are those of the untrained classifier."""
    data, method = Rows(4), Linear()
    terms = [method(batch, torch.Generator()) for batch in data.batches(0, 0)]
    late = [term["late_loss"].item() for term in terms if "late_loss" in term]
    assert 0 < len(late) < len(terms)
    progress, _ = fit(tmp_path, data, epochs=1, lr=1e-12)
    assert progress.history[0]["late_loss"] == pytest.approx(sum(late) / len(late))
    every = [term["ce_loss"].item() for term in terms]
    assert progress.history[0]["ce_loss"] == pytest.approx(sum(every) / len(every))


class UntouchedSettings(TrainingSettings):
    """A control, which is not trained at all."""

    epochs: int = 0


def test_no_epoch_at_all_keeps_the_weights_as_they_are(tmp_path):
    data, before = Rows(), Linear().state_dict()
    trainer_of = {"schedule": "cosine", "warmup_epochs": 1}
    method, settings = Linear(), UntouchedSettings(**trainer_of)
    trainer = Trainer(
        method, one_group(method), data, Scores(7), settings, start(settings, 0), 0, tmp_path, "mark"
    )
    progress = trainer.fit()
    assert progress.history == [{"epoch": 0, "val_acc": 7}]
    assert (progress.best, progress.best_epoch) == (7, 0)
    assert distance(progress.best_weights, before) == 0
