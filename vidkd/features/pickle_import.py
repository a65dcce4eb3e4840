"""Importing the cached features of the original project: an index.json and pickled shards.

This is the one place where a pickle is read. The caches of that project exist in no other form, making them
took GPU days, and a pickle can run any code when it is opened; so it is opened once, by an unpickler that
knows arrays of numbers and plain values only, and kept as our shards from then on.

A shard is a list of `{"path": …, "label": …, "student": (T', D), <teacher>: (T', D), …}`. What made the
features is not said there: weights, preprocessing and decoder become `unknown`, so that such a cache can be
read, but is never taken for one that the configuration describes.
"""

from __future__ import annotations

import hashlib
import json
import logging
import pickle
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from vidkd.errors import UserError
from vidkd.features.meta import FeatureMeta
from vidkd.features.writer import feature_writer

logger = logging.getLogger(__name__)

_UNKNOWN = "unknown: imported"


class _Shard(BaseModel):
    """One pickled file."""

    file: str
    count: int


class _Index(BaseModel):
    """What the index of a cache says of it."""

    root: str
    split: str
    student: str
    teachers: list[str]
    dtype: Literal["float16", "float32"]
    num_frames: int
    shards: list[_Shard]


def import_features(index_json: Path, output: Path) -> list[Path]:
    """Write every backbone of a pickled cache as shards `{backbone}/{split}/shard_{k}.h5` below `output`.

    Memory holds one pickled shard. A video id is its path below the `root` of the index, without the suffix;
    labels are the numbers of the pickles; source frames are -1, unknown.

    Args:
        index_json: the index; its shards lie beside it.
        output: folder, such as results/features.

    Returns:
        The shards.

    Raises:
        UserError: a file is missing or not as described, a pickle holds anything but arrays and plain values,
            labels are missing, or the features are refused, see FeatureWriter.
    """
    index = _read_index(index_json)
    digest = hashlib.sha256(index_json.read_bytes()).hexdigest()
    written = []
    for number, shard in enumerate(index.shards):
        path = index_json.parent / shard.file
        records = _sorted_records(path, index, shard.count)
        for key, backbone in [("student", index.student), *((name, name) for name in index.teachers)]:
            meta = FeatureMeta(
                backbone, _UNKNOWN, {"imported": index_json.name, "sha256": digest}, _UNKNOWN,
                index.num_frames, index.dtype, _UNKNOWN, _UNKNOWN, {"numpy": np.__version__},
            )  # fmt: skip
            target = output / backbone / index.split / f"shard_{number}.h5"
            _write(target, meta, path, records, key)
            written.append(target)
        logger.info("%s: %d videos", path, len(records))
    return written


def read_pickle(path: Path) -> object:
    """Read the numpy arrays and plain values of a pickle.

    Raises:
        UserError: it is missing, damaged, or holds anything else, which is named.
    """
    try:
        with path.open("rb") as stream:
            return _Unpickler(stream, path).load()
    except OSError as error:
        raise UserError(
            f"cannot read {path}: {error.strerror}. Copy the whole folder of the index."
        ) from error
    except UserError:
        raise
    except Exception as error:  # a damaged pickle fails in many ways
        raise UserError(f"{path} is no whole pickle ({error}): copy it again") from error


class _Numbers:
    """A type of numbers as a pickle names it, in place of numpy's own.

    That would take from the pickle what its bytes are, and may be told that they are addresses of objects.
    """

    def __init__(self, name: str, *_: object) -> None:
        self._dtype = np.dtype(name)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._dtype = self._dtype.newbyteorder(state[1])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of numpy, of nothing but numbers."""
        if self._dtype.kind not in "biuf":
            raise ValueError(f"an array of {self._dtype} holds other things than numbers")
        return self._dtype


class _Array(np.ndarray[Any, Any]):
    """An array that a pickle fills with numbers."""

    def __setstate__(self, state: tuple[Any, ...], /) -> None:
        version, shape, numbers, by_columns, content = state
        super().__setstate__((version, shape, numbers.dtype, by_columns, content))


def _empty(*_: object) -> _Array:
    return _Array((0,))


def _from_buffer(content: bytes, numbers: _Numbers, shape: tuple[int, ...], order: Any) -> NDArray[Any]:
    return np.frombuffer(content, numbers.dtype).reshape(shape, order=order)


_ALLOWED = {
    ("numpy", "ndarray"): None,  # an argument of _reconstruct, which makes nothing else here
    ("numpy", "dtype"): _Numbers,
    ("numpy.core.multiarray", "_reconstruct"): _empty,
    ("numpy._core.multiarray", "_reconstruct"): _empty,
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("numpy._core.numeric", "_frombuffer"): _from_buffer,
}
"""What arrays are made of in a pickle, under the names of numpy 1 and 2, and what makes them here."""


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: IO[bytes], path: Path) -> None:
        super().__init__(stream)
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        raise UserError(
            f"{self._path} is refused: it would run {module}.{name}, and only numpy arrays and plain values "
            "are read. Save its features as numpy arrays where it was made, or extract them again."
        )


def _read_index(path: Path) -> _Index:
    try:
        index = _Index.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise UserError(f"{path} is no index of cached features ({reason}): name its index.json") from error
    names = [index.split, index.student, *index.teachers, *(shard.file for shard in index.shards)]
    if wrong := [name for name in names if not re.fullmatch(r"\w[\w.-]*", name)]:
        raise UserError(f"{path}: {wrong[0]!r} is no plain name of a folder or file: correct it")
    return index


def _sorted_records(path: Path, index: _Index, count: int) -> list[tuple[str, dict[str, Any]]]:
    """Video id and record of each video, sorted by id."""
    records = read_pickle(path)
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise UserError(f"{path} holds no list of videos: it is not a shard of cached features")
    if len(records) != count:
        raise UserError(f"{path} holds {len(records)} videos, and the index says {count}: copy both again")
    if any(not isinstance(record.get("label"), int) or record["label"] < 0 for record in records):
        raise UserError(
            f"{path}: cached features do not contain labels: an old version extracted them. Extract them "
            "again with a newer version of the original project, or with cache_features."
        )
    named = [(_video_id(record.get("path"), index.root, path), record) for record in records]
    return sorted(named, key=lambda pair: pair[0])


def _video_id(video: object, root: str, path: Path) -> str:
    if not isinstance(video, str) or not PurePosixPath(video).is_relative_to(root):
        raise UserError(
            f"{path}: the video {video!r} is not below {root}, the root of the index: correct that"
        )
    return str(PurePosixPath(video).relative_to(root).with_suffix(""))


def _write(
    target: Path, meta: FeatureMeta, path: Path, records: Sequence[tuple[str, dict[str, Any]]], key: str
) -> None:
    unknown: NDArray[np.int64] = np.full(meta.frames, -1)
    with feature_writer(target, meta, len(records)) as writer:
        for video_id, record in records:
            row = record.get(key)
            if not isinstance(row, np.ndarray) or row.dtype.kind != "f":
                raise UserError(f"{path}: video {video_id!r} has no array of features {key!r}")
            writer.add(video_id, record["label"], unknown, False, np.atleast_2d(row))
