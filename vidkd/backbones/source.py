"""The files of a checkpoint: from the hub at a pinned revision, a folder, or a file; checked and summed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vidkd.artefacts import check, file_sha256
from vidkd.backbones.hub import Commit
from vidkd.backbones.protocol import Origin
from vidkd.config.backbones import BackboneSettings
from vidkd.engine.weights import fitting, listed, read_file, refuse_partial
from vidkd.errors import UserError

OF_TRANSFORMERS = ("model.safetensors", "pytorch_model.bin")
WEIGHTS = {
    "clip": ("open_clip_model.safetensors", "open_clip_pytorch_model.bin"),
    "timm": ("model.safetensors", "pytorch_model.bin"),
    "videomae": OF_TRANSFORMERS,
    "timesformer": OF_TRANSFORMERS,
    "vivit": OF_TRANSFORMERS,
    "vjepa2": OF_TRANSFORMERS,
}
"""What each kind's library calls its weights, the preferred name first; an index of the same name and
`.index.json` may list the files that they are split into."""

_QUANTISED = (torch.int8, torch.uint8, torch.float8_e4m3fn, torch.float8_e5m2)


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
        """All tensors of the files by name.

        Raises:
            UserError: a file cannot be read, two have a tensor of one name, or weights are quantised.
        """
        found: dict[str, Tensor] = {}
        for file in self.files:
            read = read_file(file)
            if twice := sorted(found.keys() & read.keys()):
                raise UserError(f"{self.name}: {listed(twice)} is in two of its files: fetch them again")
            found |= read
        if small := sorted(name for name, value in found.items() if value.dtype in _QUANTISED):
            raise UserError(
                f"{self.name}: {listed(small)} is {found[small[0]].dtype}: quantised weights mean nothing "
                "without their scales. Take weights of float32, float16 or bfloat16."
            )
        return found

    def json(self, file: str) -> dict[str, Any]:
        """A configuration file of the folder.

        Raises:
            UserError: it is missing, or no JSON object.
        """
        path = self.folder / file
        if not path.is_file():
            raise UserError(f"{self.name}: {file} is missing: the weights mean nothing without it")
        try:
            content = json.loads(check(path).read_text(encoding="utf-8"))
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


def find_source(settings: BackboneSettings) -> Source:
    """Find the checkpoint that `settings` name on this machine: nothing is fetched here.

    Raises:
        UserError: it is not there, or its sum is not that of the settings.
    """
    name = f"backbone {settings.kind}, {place_of(settings)}"
    folder = _folder(settings, name)
    if settings.file is not None:
        files: tuple[Path, ...] = (Path(settings.file),)
    else:
        files = weights_in(folder, WEIGHTS[settings.kind], name)
    if absent := [str(file) for file in files if not file.is_file()]:
        raise UserError(f"{name}: {listed(absent)} does not exist. {_remedy(settings)}")
    return Source(name, folder, files, _checked_sum(settings, files, name))


def network_files(settings: BackboneSettings) -> list[Path]:
    """List the files that a network is loaded from.

    Raises:
        UserError: they are not there.
    """
    source = find_source(settings)
    return [*source.files, *sorted(source.folder.glob("*config.json"))]


def place_of(settings: BackboneSettings) -> str:
    """Say in words where the weights are."""
    return settings.file or settings.folder or f"{settings.hub} at {settings.revision}"


def commit_of(settings: BackboneSettings) -> Commit:
    """Of settings with a source on the hub."""
    return Commit(str(settings.hub), str(settings.revision), WEIGHTS[settings.kind])


def fill(network: nn.Module, found: Mapping[str, Tensor], unused: tuple[str, ...], name: str) -> None:
    """Load `found`, under the network's own names, into it; see `check_names`.

    Args:
        network: what is loaded into.
        found: tensors of the checkpoint; one of another shape counts as missing.
        unused: beginnings of names that the checkpoint may have beside the network.
        name: of the checkpoint, for the message.
    """
    state = network.state_dict()
    fits = fitting(network, found, name)
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


def weights_in(folder: Path, weights: Sequence[str], name: str) -> tuple[Path, ...]:
    """The files of the weights in a folder, such as its index says that there are, whether they exist or not.

    Args:
        folder: in the library's own format.
        weights: see `WEIGHTS`.
        name: of the checkpoint, for the message.

    Raises:
        UserError: there are none.
    """
    for file in weights:
        if (folder / file).is_file():
            return (folder / file,)
        index = folder / f"{file}.index.json"
        if index.is_file():
            return tuple(folder / part for part in _parts(index, name))
    raise UserError(
        f"{name}: it holds no weights; looked for {', '.join(weights)}. Place one of these into {folder}."
    )


def _folder(settings: BackboneSettings, name: str) -> Path:
    """Where the configuration is."""
    if settings.checkpoint is not None:
        raise UserError(
            f"backbone {settings.kind}: the workflow makes the checkpoint {settings.checkpoint}; by hand, "
            "set folder to where it is, such as results/checkpoints/NAME/network, in place of checkpoint"
        )
    if settings.file is not None:
        return Path(settings.file).parent
    if settings.folder is not None:
        if Path(settings.folder).is_dir():
            return Path(settings.folder)
        raise UserError(f"{name}: no such folder. Place the model's files there, as the hub has them.")
    if (folder := commit_of(settings).local_folder()) is not None:
        return folder
    raise UserError(
        f"{name}: not on this machine. Run snakemake download_weights where there is network, or place its "
        "files into a folder and set folder in place of hub and revision."
    )


def _remedy(settings: BackboneSettings) -> str:
    """How missing weights come to be there."""
    fetched = settings.hub or settings.url or settings.drive
    ways = ["run snakemake download_weights where there is network"] if fetched else []
    if settings.hub is None:
        ways.append("place it there")
    sums = f": its sha256 must be {settings.sha256}" if settings.file is not None else ""
    return f"{', or '.join(ways).capitalize()}{sums}."


def _parts(index: Path, name: str) -> list[str]:
    try:
        parts: list[str] = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        if not parts:
            raise ValueError
        if wrong := [part for part in parts if Path(part).name != part]:
            raise UserError(
                f"{name}: {index.name} names {wrong[0]!r}, and weights lie beside it: fetch it again"
            )
        return parts
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{name}: {index.name} is no index of weights: fetch it again") from error


def _checked_sum(settings: BackboneSettings, files: Sequence[Path], name: str) -> str:
    sums = [file_sha256(check(file)) for file in files]
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
