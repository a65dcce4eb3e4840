"""Train a converter from the features of one backbone to those of another, with one seed.

Shapes in names: B clips, M tokens of the teacher, D features.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator

from vidkd.engine.checkpoint import drop_state, only_run
from vidkd.engine.loop import Trainer
from vidkd.engine.optim import one_group
from vidkd.engine.run import write_run
from vidkd.engine.runtime import naming_knob, start
from vidkd.errors import UserError
from vidkd.evaluate.efficiency import count_parameters
from vidkd.evaluate.token_errors import TokenErrors
from vidkd.features.batches import FeatureBatches, FeatureJoin
from vidkd.features.tokens import check_finite, token_statistics
from vidkd.methods.converters.loss import terms
from vidkd.methods.converters.method import Convert
from vidkd.methods.converters.model import Converter, build_converter
from vidkd.methods.converters.pairs import Pairs, open_pairs
from vidkd.methods.converters.settings import ConverterSettings


def train(
    settings: ConverterSettings,
    shards: Mapping[str, Mapping[str, Sequence[Path]]],
    run_dir: Path,
    about: Mapping[str, str],
    *,
    seed: int,
    stamp: str,
) -> None:
    """Train, and write the run of the epoch that validation prefers; of no epochs, the random converter.

    A run that was stopped goes on from its state when `stamp` (settings, code, inputs) is the same.

    Args:
        settings: of the converter.
        shards: feature shards by name of the backbone, then by split: train and val.
        run_dir: folder of the run.
        about: names of the `converter`, and of its `student` and `teacher` backbones.
        seed: of the weights, the order and the dropout.
        stamp: digest of all that the result depends on.

    Raises:
        UserError: the features cannot be used, see open_pairs; there are fewer training videos than one
            batch, a feature is NaN or infinite, memory is too small, or the loss diverged.
    """
    accelerator = start(settings, seed)
    pairs = open_pairs(settings, about["student"], about["teacher"], shards)
    data = FeatureBatches(pairs.train, settings.batch_size, seed, device=accelerator.device)
    model = build_converter(settings, *pairs.shapes)
    statistics = token_statistics(pairs.train)
    model.student.set(*statistics[about["student"]])
    model.teacher.set(*statistics[about["teacher"]])
    method, validate = Convert(model, settings), validation(pairs.val, settings, accelerator)
    state_dir = run_dir / ".state"
    with only_run(state_dir), naming_knob(f"batch_size {settings.batch_size}: lower it, or width or layers"):
        groups = one_group(method)
        trainer = Trainer(method, groups, data, validate, settings, accelerator, seed, state_dir, stamp)
        write_run(run_dir, trainer.fit(), settings, seed, **about, **_described(pairs, model))
        drop_state(state_dir)


def validation(
    join: FeatureJoin, settings: ConverterSettings, accelerator: Accelerator
) -> Callable[[Convert], tuple[float, dict[str, float]]]:
    """What the loop calls between epochs: minus the objective, and columns of `history.csv`.

    Columns are `val_loss`, each term of it, and `val_r2`, in the teacher's own space (see TokenErrors).
    A loss that is not finite ends the training: no weights would be the best.
    """
    # Equal parts: what compares the clips of a batch has no small last one.
    parts = np.array_split(np.arange(len(join)), max(1, len(join) // settings.batch_size))

    @torch.inference_mode()
    def validate(method: Convert) -> tuple[float, dict[str, float]]:
        method.eval()
        model, sums = method.model, dict[str, float]()
        errors = TokenErrors(model.teacher.mean.expand(model.teacher_shape).cpu())
        for batch in join.gathered(parts, accelerator.device):
            check_finite(batch, join)
            with accelerator.autocast():
                predicted_BMD, target_BMD = method.predicted(batch.to(accelerator.device))
            for name, value in terms(predicted_BMD, target_BMD, settings).items():
                sums[name] = sums.get(name, 0.0) + value.item() * len(batch.row) / len(join)
            errors.add(model.unscaled(predicted_BMD).cpu(), model.unscaled(target_BMD).cpu())
        loss = sum(sums.values())
        if not math.isfinite(loss):
            raise UserError(
                f"the validation loss became {loss}: lower lr, set clip_grad, or use precision no"
            )
        columns = {f"val_{name}": value for name, value in sums.items()}
        return -loss, {"val_loss": loss, **columns, "val_r2": errors.r2()}

    return validate


def _described(pairs: Pairs, model: Converter) -> dict[str, object]:
    """What `config.json` says beside names and settings."""
    student, teacher = pairs.metas
    return {
        "student_meta": student.attributes(),
        "teacher_meta": teacher.attributes(),
        "student_shape": pairs.shapes[0],
        "teacher_shape": pairs.shapes[1],
        "params": count_parameters(model),
        "left_out": pairs.left_out,
    }
