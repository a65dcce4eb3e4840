"""The files of a checkpoint: from the hub at a pinned revision, a folder, or a file; checked and summed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from vidkd.backbones.protocol import Origin
from vidkd.config.backbones import BackboneSettings
from vidkd.engine.weights import listed, read_file, refuse_partial
from vidkd.errors import UserError

CONFIGS = ("*.json", "*.txt", "*.model")
"""Patterns of the files that a hub repository has beside its weights: configuration and tokenizer."""


@dataclass(frozen=True)
class Source:
    """A checkpoint on disk.

    Attributes:
        name: how messages call it: its kind, and where it is.
        folder: of its configuration.
        files: of its weights; several when the library split them.
        sha256: of the only file of weights; of several, of a list of name and sum.
        read: the configuration files that were read so far.
    """

    name: str
    folder: Path
    files: tuple[Path, ...]
    sha256: str
    read: list[Path] = field(default_factory=list)

    def weights(self) -> dict[str, Tensor]:
        """All tensors of the files by name."""
        return {name: value for file in self.files for name, value in read_file(file).items()}

    def json(self, file: str) -> dict[str, Any]:
        """A configuration file of the folder.

        Raises:
            UserError: it is missing, or no JSON object.
        """
        path = self.folder / file
        if not path.is_file():
            raise UserError(f"{self.name}: {file} is missing: the weights mean nothing without it")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(f"{self.name}: {file} is not JSON ({error}): fetch it again") from error
        if not isinstance(content, dict):
            raise UserError(f"{self.name}: {file} is not a JSON object: fetch it again")
        self.read.append(path)
        return content

    def origin(self, *configs: Mapping[str, Any]) -> Origin:
        """The sums of the weights and of the configuration that was used, and the files that were read."""
        text = json.dumps(configs, sort_keys=True)
        config_sha256 = hashlib.sha256(text.encode()).hexdigest()
        files = tuple(dict.fromkeys((*self.files, *self.read)))
        return Origin(self.name, self.folder, self.sha256, config_sha256, files)


def find_source(settings: BackboneSettings, weights: Sequence[str]) -> Source:
    """The checkpoint that `settings` name.

    Args:
        settings: the backbone's.
        weights: names that the library gives its weights, the preferred one first; for each, an index of
            the same name and `.index.json` may list the files that it is split into.

    Raises:
        UserError: it is not there, or its sum is not that of the settings.
    """
    files: tuple[Path, ...]
    if settings.file is not None:
        folder, files = Path(settings.file).parent, (Path(settings.file),)
        name = f"backbone {settings.kind}, {settings.file}"
    elif settings.folder is not None:
        folder = Path(settings.folder)
        name = f"backbone {settings.kind}, {folder}"
        files = _weights_in(folder, weights, name)
    else:
        name = f"backbone {settings.kind}, {settings.hub} at {settings.revision}"
        folder = _snapshot(settings, weights, name)
        files = _weights_in(folder, weights, name)
    if absent := [str(file) for file in files if not file.is_file()]:
        raise UserError(
            f"{name}: {listed(absent)} does not exist. Run snakemake download_weights, or place it there."
        )
    return Source(name, folder, files, _checked_sum(settings, files, name))


def fill(network: nn.Module, found: Mapping[str, Tensor], unused: tuple[str, ...], name: str) -> None:
    """Load `found`, under the network's own names, into it; see `check_names`.

    Args:
        network: what is loaded into.
        found: tensors of the checkpoint; one of another shape counts as missing.
        unused: beginnings of names that the checkpoint may have beside the network.
        name: of the checkpoint, for the message.
    """
    state = network.state_dict()
    fits = {
        name: value for name, value in found.items() if name in state and value.shape == state[name].shape
    }
    wanted = {name: value.numel() for name, value in state.items() if value.is_floating_point()}
    unknown = {name for name in found if name not in state and not name.startswith(unused)}
    check_names(wanted, [name for name in wanted if name not in fits], unknown, name)
    network.load_state_dict(fits, strict=False)


def check_names(
    wanted: Mapping[str, int], missing: Collection[str], unknown: Collection[str], name: str
) -> None:
    """Refuse a checkpoint that has not all that the network needs, or more than is known to be unused.

    Args:
        wanted: numbers of values that the network needs, by name.
        missing: names of these that it has not.
        unknown: names that nothing here knows.
        name: of the checkpoint, for the message.

    Raises:
        UserError: either.
    """
    remedy = "It belongs to another architecture, or is laid out for another version of the library."
    if unknown:
        remedy = f"It has what this network has not: {listed(sorted(unknown))}. {remedy}"
    refuse_partial(wanted, missing, name, remedy)
    if unknown:
        raise UserError(f"weights: {name} would not be loaded whole. {remedy}")


def _weights_in(folder: Path, weights: Sequence[str], name: str) -> tuple[Path, ...]:
    if not folder.is_dir():
        raise UserError(f"{name}: no such folder. Run snakemake download_weights, or place it there.")
    for file in weights:
        if (folder / file).is_file():
            return (folder / file,)
        index = folder / f"{file}.index.json"
        if index.is_file():
            return tuple(folder / part for part in _parts(index, name))
    raise UserError(
        f"{name}: it holds no weights; looked for {', '.join(weights)}. Run snakemake download_weights, or "
        f"place one of these into {folder}."
    )


def _parts(index: Path, name: str) -> list[str]:
    try:
        return sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{name}: {index.name} is no index of weights: fetch it again") from error


def _snapshot(settings: BackboneSettings, weights: Sequence[str], name: str) -> Path:
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    # A commit never changes: the network is asked only for what is not on this machine.
    with suppress(LocalEntryNotFoundError):
        folder, complete = _fetch(settings, weights, local=True)
        if complete:
            return folder
    try:
        return _fetch(settings, weights, local=False)[0]
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise UserError(
            f"{name}: not on this machine, and the hub did not give it ({type(error).__name__}). Run "
            "snakemake download_weights where there is network, or place its files into a folder and set "
            "folder in place of hub and revision."
        ) from error


def _fetch(settings: BackboneSettings, weights: Sequence[str], local: bool) -> tuple[Path, bool]:
    """The snapshot's folder, and whether weights lie in it; of several forms only the first is fetched."""
    from huggingface_hub import snapshot_download

    for file in map(Path, weights):
        pattern = f"{file.stem}*{file.suffix}"
        folder = Path(
            snapshot_download(
                str(settings.hub), revision=settings.revision, allow_patterns=[*CONFIGS, pattern],
                local_files_only=local,
            )
        )  # fmt: skip
        if any(folder.glob(pattern)):
            return folder, True
    return folder, False


def _checked_sum(settings: BackboneSettings, files: Sequence[Path], name: str) -> str:
    sums = [_sum(file) for file in files]
    found = sums[0]
    if len(files) > 1:
        lines = "".join(f"{sha256}  {file.name}\n" for sha256, file in zip(sums, files, strict=True))
        found = hashlib.sha256(lines.encode()).hexdigest()
    if settings.sha256 not in (None, found):
        raise UserError(
            f"{name}: the weights' sha256 is {found}, the settings say {settings.sha256}. They are damaged, "
            "or others than meant: fetch them again, or mend sha256."
        )
    return found


def _sum(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
