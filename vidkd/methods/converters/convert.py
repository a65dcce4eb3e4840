"""Convert the student's features with a frozen converter: when rows are asked for, or cached once.

On a CPU a clip is converted by itself, as a network sees it in extraction: what it is converted to has the
same bits whatever is beside it, cached or not. On a GPU those that are asked for together go together, which
moves the last bits.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from accelerate import PartialState
from numpy.typing import NDArray
from torch import Tensor

from vidkd.artefacts import file_sha256
from vidkd.engine.cpu import use_cpu
from vidkd.engine.logging import progress
from vidkd.errors import UserError
from vidkd.features.batches import FeatureJoin, FeatureSource
from vidkd.features.meta import FeatureMeta
from vidkd.features.store import FeatureStore, Rows
from vidkd.features.writer import check_room, feature_writer
from vidkd.methods.converters.load import check_made_for, converter_config, load_converter
from vidkd.methods.converters.model import Converter
from vidkd.methods.converters.settings import ConverterSettings
from vidkd.methods.inputs import Inputs

_AT_ONCE = 8
"""Clips that are held while a cache is written."""


class ConvertedFeatures:
    """Features of a teacher's kind, computed from the student's when rows are asked for: a FeatureSource.

    Attributes:
        meta: how they are made, as a cache of them says it.
        video_ids: of each row, as the student has them.
        label_ids: (N) int32.
        shards: (N) number of the student's file that each row is in.
        shape: (T', D) of a row.
        dtype: of the features: rounded as a cache of them is.
    """

    def __init__(self, student: FeatureSource, converter: Converter, meta: FeatureMeta) -> None:
        """Convert `student` by a converter in evaluation mode, on the device that it is on."""
        self._student, self._converter, self.meta = student, converter, meta
        self.video_ids, self.label_ids, self.shards = student.video_ids, student.label_ids, student.shards
        self.shape = converter.teacher_shape
        self.dtype: torch.dtype = getattr(torch, meta.dtype)

    @classmethod
    def of(cls, student: FeatureSource, converter: Converter, weights: Path) -> ConvertedFeatures:
        """Convert `student` by the converter of a run.

        Args:
            student: features like those that the converter was trained on.
            converter: as `load_converter` loads it.
            weights: its file, for what the features say about themselves.

        Raises:
            UserError: the converter was trained on other features.
        """
        config = converter_config(weights)
        check_made_for(weights, config, student.meta)
        return cls(student, converter, _converted_meta(weights, config, student.meta))

    @torch.no_grad()  # not inference_mode, whose tensors no training can use
    def rows(self, rows: Rows) -> Tensor:
        """Return features (len(rows), T', D) of `rows`, on the CPU."""
        student_BND = self._student.rows(rows)
        device = next(self._converter.parameters()).device
        at_once = 1 if device.type == "cpu" else max(1, len(student_BND))
        parts = [
            self._converter(part.to(device)).to("cpu", self.dtype) for part in student_BND.split(at_once)
        ]
        return torch.cat(parts)

    def rows_of(self, video_ids: Sequence[str]) -> NDArray[np.int64]:
        """Row of each video; a UserError lists those that the student has not."""
        return self._student.rows_of(video_ids)

    def verify(self) -> None:
        """Compare the checksums of the student's features."""
        self._student.verify()


def _converted_meta(weights: Path, config: Mapping[str, Any], student: FeatureMeta) -> FeatureMeta:
    """What features say about themselves that were converted by `weights`, with `config` beside them."""
    teacher = FeatureMeta.read(config["teacher_meta"])
    several = {
        name: teacher.preprocessing[name] for name in ("views", "crops") if name in teacher.preprocessing
    }
    return FeatureMeta(
        backbone=config["teacher"],
        weights_sha256=file_sha256(weights),
        preprocessing={
            "converter": config["converter"],
            "student": student.digest,
            "student_weights_sha256": student.weights_sha256,
            **several,
        },
        tokens=teacher.tokens,
        frames=student.frames,
        dtype=student.dtype,
        decoder=student.decoder,
        frames_digest=student.frames_digest,
        versions={"torch": importlib.metadata.version("torch")},
    )


def convert(inputs: Inputs, outputs: Mapping[str, Path]) -> None:
    """Write what a converter makes of the student's features: one feature shard for each split.

    Args:
        inputs: the converter, and the student's features.
        outputs: feature shard to write, by split; without rows where the split has none.

    Raises:
        UserError: the converter was made for other features, these are missing or damaged, an output is one
            of them or is named twice, the disk is too small, or a converted feature is not finite in the
            student's dtype.
    """
    weights = inputs.weights("converter")
    config, converter = converter_config(weights), load_converter(weights).to(PartialState().device)
    use_cpu(ConverterSettings.model_validate(config["settings"]).cpu_threads)
    shards = inputs.features(config["student"], *outputs)
    _check_outputs(shards, outputs)
    stores = {split: FeatureStore(shards[split]) for split in outputs}
    converted = {split: ConvertedFeatures.of(store, converter, weights) for split, store in stores.items()}
    for split, store in stores.items():
        _write(outputs[split], store, converted[split], _source_frames(shards[split]))


def _check_outputs(shards: Mapping[str, Sequence[Path]], outputs: Mapping[str, Path]) -> None:
    read = {file.resolve() for files in shards.values() for file in files}
    written = [output.resolve() for output in outputs.values()]
    if wrong := [path for path in written if path in read or written.count(path) > 1]:
        raise UserError(
            f"{wrong[0]} would be written over what is read, or over another split: give each split a file "
            "of its own, in another folder than the student's features"
        )


def _write(output: Path, store: FeatureStore, converted: ConvertedFeatures, index: NDArray[np.int32]) -> None:
    """One shard, sorted by video id; what is beside the features is the student's."""
    meta, count = converted.meta, len(store)
    join = FeatureJoin({meta.backbone: converted})
    rows = store.rows_of(join.video_ids).tolist()
    with feature_writer(output, meta, count) as writer:
        check_room(output, count, converted.shape, meta.dtype, "Free space, or choose another results_dir.")
        features = zip(progress(rows, f"convert to {meta.backbone}"), _in_order(join), strict=True)
        for row, feature_ND in features:
            name, label = store.video_ids[row], int(store.label_ids[row])
            writer.add(name, label, index[row], bool(store.padded[row]), feature_ND)


def _in_order(join: FeatureJoin) -> Iterator[NDArray[np.floating[Any]]]:
    """Features (N, D) of each video."""
    for batch in join.in_order(_AT_ONCE):
        (feature_BND,) = batch.features.values()
        for row, feature_ND in zip(batch.row.tolist(), feature_BND, strict=True):
            if not feature_ND.isfinite().all():
                raise UserError(
                    f"video {join.video_ids[row]!r} is converted to features that are NaN or infinite as "
                    f"{feature_ND.dtype}: cache the student's as float32, or train the converter with a "
                    "lower lr"
                )
            yield feature_ND.numpy()


def _source_frames(files: Sequence[Path]) -> NDArray[np.int32]:
    """Source frames (N, T) of each row of a store, which keeps none in memory."""
    found = []
    for path in files:
        with h5py.File(path, "r", locking=False) as file:
            found.append(file["index"][:])
    return np.concatenate([part for part in found if len(part)] or found)
