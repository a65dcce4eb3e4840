"""What a feature shard says about itself: shared by its writer and its reader.

A module of its own, so that a change of the reader does not make features anew, nor one of the writer train
anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FLOATS = ("float16", "float32")
"""Types of features."""

COLUMNS = {"label_id": np.int32, "index": np.int32, "crc32": np.uint32, "padded": np.bool_}
"""Datasets beside `features` and `video_id`, and their types."""


@dataclass(frozen=True)
class FeatureMeta:
    """How the features of a shard were made; each field is an attribute of the file.

    Attributes:
        backbone: name of the network in the configuration.
        weights_sha256: of its weights.
        preprocessing: what is done to pixels before the network; `views` and `crops` where there are several.
        tokens: full, time or clip.
        frames: of a clip, T.
        dtype: float16 or float32.
        decoder: what decoded the videos, as the frame store says.
        frames_digest: of the frame store.
        versions: of the libraries. They may move the last bits of a value and are no part of the digest: an
            update alone would otherwise make all features anew.
    """

    backbone: str
    weights_sha256: str
    preprocessing: Mapping[str, Any]
    tokens: str
    frames: int
    dtype: str
    decoder: str
    frames_digest: str
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.dtype not in _FLOATS:
            raise ValueError(f"features are stored as {' or '.join(_FLOATS)}, not {self.dtype}")

    @property
    def digest(self) -> str:
        """SHA-256 of everything that decides the values."""
        return hashlib.sha256(canonical(self._deciding()).encode()).hexdigest()

    def attributes(self) -> dict[str, str | int]:
        """Return the attributes of a file, mappings as JSON."""
        mappings = {"preprocessing": canonical(self.preprocessing), "versions": canonical(self.versions)}
        return {**asdict(self), **mappings, "digest": self.digest}

    @classmethod
    def read(cls, attributes: Mapping[str, Any]) -> FeatureMeta:
        """Read back what `attributes` gave.

        Raises:
            KeyError: an attribute is missing.
            ValueError: one is not what was written, or the digest is of other attributes.
        """
        texts = ("backbone", "weights_sha256", "tokens", "dtype", "decoder", "frames_digest")
        mappings = {name: json.loads(attributes[name]) for name in ("preprocessing", "versions")}
        plain: dict[str, Any] = {name: str(attributes[name]) for name in texts}
        meta = cls(frames=int(attributes["frames"]), **plain, **mappings)
        if meta.digest != attributes["digest"]:
            raise ValueError("its attributes are not those of its digest")
        return meta

    def differences(self, other: FeatureMeta) -> list[str]:
        """Name the fields, versions aside, that are not the same in `other`."""
        mine, others = self._deciding(), other._deciding()
        return [name for name, value in mine.items() if value != others[name]]

    def differing(self, given: FeatureMeta, deciding: Collection[str]) -> list[str]:
        """Say which of the fields `deciding` are others in `given`, each as `frames 4, not 8`."""
        names = [name for name in self.differences(given) if name in deciding]
        return [f"{name} {getattr(self, name)}, not {getattr(given, name)}" for name in names]

    def _deciding(self) -> dict[str, Any]:
        # Through JSON, where a tuple and the list that is read back from a file are the same.
        deciding: dict[str, Any] = json.loads(canonical(asdict(self)))
        del deciding["versions"]
        return deciding


def canonical(value: Any) -> str:
    """Write compact JSON with sorted keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def checksum(meta: FeatureMeta, video_ids: list[str], columns: Mapping[str, NDArray[Any]]) -> str:
    """Compute the SHA-256 of all that a shard holds beside its features, which have sums of their own."""
    digest = hashlib.sha256(canonical([meta.attributes(), video_ids]).encode())
    for name, dtype in COLUMNS.items():
        values = np.ascontiguousarray(columns[name], np.dtype(dtype).newbyteorder("<"))
        digest.update(f"{name}{values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()
