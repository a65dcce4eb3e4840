"""All weights that a configuration names: what is here, what is missing, and fetching that."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from vidkd.artefacts import file_sha256
from vidkd.backbones.fetch import DownloadError, Remote, ask_size, bytes_text, fetch
from vidkd.backbones.hub import Commit
from vidkd.backbones.hub_files import HubFile, complete, files_of, is_damaged, page_of, quiet, remote_of
from vidkd.backbones.source import WEIGHTS, commit_of, find_source, place_of, weights_in
from vidkd.config.backbones import BackboneSettings, WeightsSettings
from vidkd.config.training import is_weights_file
from vidkd.engine.weights import torchvision_file
from vidkd.errors import UserError

log = logging.getLogger(__name__)

DRIVE = "https://drive.usercontent.google.com/download?id={}&export=download&confirm=t"
"""Answers with the file itself; other addresses of Google Drive first show a page about viruses."""

DRIVE_PAGE = "https://drive.google.com/file/d/{}/view"


@dataclass(frozen=True)
class _Weights:
    """Weights that the configuration names, and what is known of them.

    Attributes:
        name: the settings that name them, and their source.
        place: the file or folder of theirs, here.
        remedy: what a person does when they are not to be had.
        size: in bytes; None when nobody knows.
        left: bytes of it that are to be fetched; 0 when all is here.
        problem: why they are not to be had; empty when nothing is known against it.
        get: fetches them.
    """

    name: str
    place: Path
    remedy: str
    size: int | None = None
    left: int | None = 0
    problem: str = ""
    get: Callable[[], None] | None = None

    def __str__(self) -> str:
        if self.problem:
            return f"{self.name}: {self.problem}"
        size = "size unknown" if self.size is None else bytes_text(self.size)
        if self.get is None:
            return f"{self.name}: {size}, is here"
        here = (self.size or 0) - (self.left or 0)
        part = f", of which {bytes_text(here)} are here" if here else ""
        return f"{self.name}: {size}{part}, to be fetched into {self.place}"


def download(settings: WeightsSettings) -> None:
    """Fetch all that is missing; first say what there is, of what size.

    Raises:
        UserError: the disk has no room, and nothing was fetched; or some of it is not to be had, and all else
            is here. Then the message has a line for each, with what to do.
    """
    quiet()
    wanted = [*_of_backbones(settings.backbones), *_of_runs(settings.starts)]
    _list(wanted)
    _check_room(wanted)
    wanted = [_attempted(item) for item in wanted]
    if problems := [f"{item}. {item.remedy}".rstrip() for item in wanted if item.problem]:
        raise UserError("\n".join(["not all weights are here:", *problems]))
    log.info("all weights are here")


def _list(wanted: Sequence[_Weights]) -> None:
    if not wanted:
        log.info("the configuration names no weights that are made elsewhere")
    for item in wanted:
        log.info("%s", item)
    total, left = sum(item.size or 0 for item in wanted), sum(item.left or 0 for item in wanted)
    unknown = sum(item.get is not None and item.size is None for item in wanted)
    more = f", and {unknown} of unknown size" if unknown else ""
    log.info("in all %s, of which %s are to be fetched%s", bytes_text(total), bytes_text(left), more)


def _attempted(item: _Weights) -> _Weights:
    """Fetched, or with the reason why not: one failure keeps nothing else from being fetched."""
    if item.get is None or item.problem:
        return item
    try:
        item.get()
    except DownloadError as error:
        return replace(item, problem=str(error))
    log.info("%s: is here", item.name)
    return replace(item, left=0, get=None)


def _check_room(wanted: Sequence[_Weights]) -> None:
    """Refuse to begin what does not fit on the disks."""
    needed: dict[int, int] = {}
    for item in wanted:
        if item.problem or not item.left:
            continue
        folder = next(place for place in item.place.absolute().parents if place.is_dir())
        disk = folder.stat().st_dev
        needed[disk] = needed.get(disk, 0) + item.left
        if needed[disk] > (free := shutil.disk_usage(folder).free):
            raise UserError(
                f"{bytes_text(needed[disk])} of weights do not fit on the disk of {folder}, which has "
                f"{bytes_text(free)} left. Free space, or have them elsewhere: file of the backbone, and the "
                "variables HF_HOME and TORCH_HOME, say where they go."
            )


def _of_backbones(backbones: Mapping[str, BackboneSettings]) -> Iterator[_Weights]:
    """Those that are made elsewhere; with one source once, whatever else differs."""
    names: dict[str, list[str]] = {}
    source = {"kind", "hub", "revision", "folder", "file", "sha256", "url", "drive"}
    elsewhere = {name: used for name, used in backbones.items() if used.checkpoint is None}
    for name, settings in elsewhere.items():
        names.setdefault(settings.model_dump_json(include=source), []).append(f"backbones.{name}")
    for text, users in names.items():
        settings = BackboneSettings.model_validate_json(text)
        name = f"{', '.join(users)} ({place_of(settings)})"
        if settings.hub is not None:
            yield _on_hub(name, settings)
        elif settings.url is not None or settings.drive is not None:
            yield _at_address(name, *_address(settings))
        else:
            yield _placed(name, settings)


def _of_runs(weights: Mapping[str, str]) -> Iterator[_Weights]:
    """What trainings start from; files of the user's own have no sum to check."""
    for source in dict.fromkeys(weights.values()):
        users = ", ".join(name for name, given in weights.items() if given == source)
        name = f"{users} ({source})"
        if not is_weights_file(source):
            yield _of_torchvision(name, source)
        elif (file := Path(source)).is_file():
            yield _Weights(name, file, "", file.stat().st_size)
        else:
            yield _Weights(
                name, file, f"Place it at {file.absolute()}.", None, problem="there is no such file"
            )


def _of_torchvision(name: str, weights: str) -> _Weights:
    try:
        url, place = torchvision_file(weights)
    except UserError as error:
        return _Weights(name, Path(), "", problem=str(error).rstrip("."))
    digits = place.stem.rpartition("-")[2]  # of the sum: torch names its files so
    return _at_address(name, Remote(url, place, digits), url)


def _address(settings: BackboneSettings) -> tuple[Remote, str]:
    """Where a program gets the file, and where a person does."""
    url, page = settings.url or "", settings.url or ""
    if settings.drive is not None:
        url, page = DRIVE.format(settings.drive), DRIVE_PAGE.format(settings.drive)
    return Remote(url, Path(str(settings.file)), str(settings.sha256)), page


def _at_address(name: str, remote: Remote, page: str) -> _Weights:
    place = remote.place
    if place.is_file():
        found, size = file_sha256(place), place.stat().st_size
        if found.startswith(remote.sha256):
            return _Weights(name, place, "", size)
        problem = f"{place} has the sha256 {found}, not {remote.sha256}"
        return _Weights(
            name, place, "Move it away and run this again, or mend sha256.", size, problem=problem
        )
    try:
        remote = replace(remote, size=ask_size(remote))
    except DownloadError as error:
        return _Weights(name, place, _by_hand(remote, page), None, None, str(error))
    get = partial(fetch, remote, name)
    return _Weights(name, place, _by_hand(remote, page), remote.size, remote.left, get=get)


def _by_hand(remote: Remote, page: str) -> str:
    whole = len(remote.sha256) == 64
    size = "" if remote.size is None else f", its size is {remote.size} bytes"
    return (
        f"Get it from {page} in another way, and place the file at {remote.place.absolute()}: its sha256 "
        f"{'is' if whole else 'begins with'} {remote.sha256}{size}."
    )


def _placed(name: str, settings: BackboneSettings) -> _Weights:
    """What only the user can put there."""
    place = Path(str(settings.file or settings.folder))
    if problem := _said_of(settings):
        return _Weights(name, place, f"It belongs at {place.absolute()}.", problem=problem)
    files = [place] if place.is_file() else weights_in(place, WEIGHTS[settings.kind], name)
    return _Weights(name, place, "", sum(file.stat().st_size for file in files))


def _on_hub(name: str, settings: BackboneSettings) -> _Weights:
    commit = commit_of(settings)
    by_hand = (
        f"Get its files from {page_of(commit)} in another way, place them into a folder, and set folder in "
        "place of hub and revision"
    )
    try:
        if here := _whole(commit):
            return _in_cache(name, settings, here)
        files = files_of(commit)
    except DownloadError as error:
        return _Weights(name, commit.cache, f"{by_hand}.", left=None, problem=str(error))
    large = [remote_of(commit, file) for file in files if file.sha256 is not None and not file.blob.exists()]
    small = [file.size for file in files if file.sha256 is None and not file.blob.exists()]
    left = sum(remote.left or 0 for remote in large) + sum(small)
    get = partial(_fetch_commit, name, settings, large)
    return _Weights(
        name, commit.cache, f"{by_hand}{_sums(files)}.", sum(file.size for file in files), left, get=get
    )


def _whole(commit: Commit) -> tuple[Path, ...]:
    """The files of the weights, when all of the commit is here."""
    if (folder := commit.local_folder()) is None:
        return ()
    try:
        files = weights_in(folder, commit.weights, str(folder))
    except UserError as error:
        raise DownloadError(str(error).rstrip(".")) from error
    return files if all(file.is_file() for file in files) else ()


def _in_cache(name: str, settings: BackboneSettings, files: Sequence[Path]) -> _Weights:
    """Weights of the hub that are here, checked."""
    cache = commit_of(settings).cache
    if damaged := [file.resolve() for file in files if is_damaged(file)]:
        problem = f"{damaged[0]} has another sum than its name says"
        return _Weights(name, cache, "Delete this file and run this again.", problem=problem)
    if settings.sha256 is not None and (problem := _said_of(settings)):
        return _Weights(name, cache, "", problem=problem)
    return _Weights(name, cache, "", sum(file.stat().st_size for file in files))


def _said_of(settings: BackboneSettings) -> str:
    """What loading would say against the files that are here; empty when nothing."""
    try:
        find_source(settings)
    except UserError as error:
        return str(error).removeprefix(f"backbone {settings.kind}, {place_of(settings)}: ").rstrip(".")
    return ""


def _fetch_commit(name: str, settings: BackboneSettings, large: Sequence[Remote]) -> None:
    for remote in large:
        fetch(remote, name)
    complete(commit_of(settings))
    if problem := _said_of(settings):
        raise DownloadError(problem)


def _sums(files: Sequence[HubFile]) -> str:
    known = [
        f"{file.name} has {file.size} bytes and the sha256 {file.sha256}" for file in files if file.sha256
    ]
    return f": {', '.join(known)}" if known else ""
