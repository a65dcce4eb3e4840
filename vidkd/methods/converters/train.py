"""Train a converter from the features of one backbone to those of another, with one seed.

Shapes in names: B clips, N tokens of the student, M of the teacher, D features.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from vidkd.engine.efficiency import count_parameters
from vidkd.engine.optim import one_group
from vidkd.engine.runtime import start
from vidkd.errors import UserError
from vidkd.evaluate.token_errors import TokenErrors
from vidkd.features.batches import FeatureBatch, FeatureBatches, FeatureJoin
from vidkd.features.tokens import check_finite, token_statistics
from vidkd.methods.converters.loss import terms
from vidkd.methods.converters.model import Converter, build_converter
from vidkd.methods.converters.pairs import Pairs, open_pairs
from vidkd.methods.converters.settings import ConverterSettings
from vidkd.methods.train import Fitted, Job


class _Convert(nn.Module):
    """The converter with its objective; both networks are frozen and not here, only what they made."""

    def __init__(self, model: Converter, settings: ConverterSettings) -> None:
        super().__init__()
        self.model, self.settings = model, settings

    def forward(self, batch: FeatureBatch, generator: torch.Generator) -> dict[str, Tensor]:
        predicted_BMD, target_BMD = self.predicted(batch)
        with torch.autocast(predicted_BMD.device.type, enabled=False):  # what sums over a batch stays float32
            return terms(predicted_BMD, target_BMD, self.settings)

    def predicted(self, batch: FeatureBatch) -> tuple[Tensor, Tensor]:
        """Return converted features (B, M, D) and the teacher's own, both standardised and float32."""
        student_BND, teacher_BMD = batch.features.values()
        return self.model.standardised(student_BND), self.model.teacher(teacher_BMD)


def training(job: Job) -> Fitted:
    """Train a converter, whose best epoch validation chooses; of no epochs it stays random.

    A run is called `CONVERTER.TEACHER`.

    Raises:
        UserError: the features cannot be used, see open_pairs; there are fewer training videos than one
            batch, a feature is NaN or infinite, memory is too small, or the loss diverged.
    """
    settings: ConverterSettings = job.settings
    accelerator = start(settings, job.seed)
    pairs = open_pairs(settings, job.inputs)
    student, teacher = pairs.train.stores
    data = FeatureBatches(pairs.train, settings.batch_size, job.seed, device=accelerator.device)
    model = build_converter(settings, *pairs.shapes)
    statistics = token_statistics(pairs.train)
    model.student.set(*statistics[student])
    model.teacher.set(*statistics[teacher])
    method, validate = _Convert(model, settings), _validation(pairs.val, settings, accelerator)
    knob = f"batch_size {settings.batch_size}: lower it, or width or layers"
    result = job.loop(method, one_group(method), data, validate, settings, accelerator, knob=knob)
    about = {
        "converter": str(job.about["run"]).removesuffix(f".{teacher}"), "student": student, "teacher": teacher
    }  # fmt: skip
    return job.fitted(result, settings, **about, **_described(pairs, model))


def _validation(
    join: FeatureJoin, settings: ConverterSettings, accelerator: Accelerator
) -> Callable[[_Convert], tuple[float, dict[str, float]]]:
    """Make what the loop calls between epochs: minus the objective, and columns of `history.csv`.

    Columns are `val_loss`, each term of it, and `val_r2`, in the teacher's own space (see TokenErrors).
    A loss that is not finite ends the training: no weights would be the best.
    """
    # Equal parts: what compares the clips of a batch has no small last one.
    parts = np.array_split(np.arange(len(join)), max(1, len(join) // settings.batch_size))

    @torch.inference_mode()
    def validate(method: _Convert) -> tuple[float, dict[str, float]]:
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
    """Describe the features and the network for `config.json`."""
    student, teacher = pairs.metas
    return {
        "student_meta": student.attributes(),
        "teacher_meta": teacher.attributes(),
        "student_shape": pairs.shapes[0],
        "teacher_shape": pairs.shapes[1],
        "params": count_parameters(model),
        "left_out": pairs.left_out,
    }
