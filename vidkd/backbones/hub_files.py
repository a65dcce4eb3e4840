"""The files of a commit on the Hugging Face hub, and fetching them.

The hub's own client starts a file anew when it was interrupted, and checks no sum. Weights therefore come
through `vidkd.backbones.fetch`, into the place that the documented layout of the hub's cache has for them;
the client then finds them there, fetches the small files, and names everything
(huggingface.co/docs/hub/local-cache).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, constants, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import build_hf_headers, disable_progress_bars
from huggingface_hub.utils.logging import disable_propagation

from vidkd.artefacts import file_sha256
from vidkd.backbones.fetch import DownloadError, Remote, check_network
from vidkd.backbones.hub import CONFIGS, Commit


@dataclass(frozen=True)
class HubFile:
    """A file of a repository.

    Attributes:
        name: its path there.
        size: in bytes.
        blob: where the cache keeps its content, under its sum.
        sha256: of its content; None for a small one, whose name in the cache is another sum.
    """

    name: str
    size: int
    blob: Path
    sha256: str | None


def page_of(commit: Commit) -> str:
    """What a browser shows."""
    return f"{constants.ENDPOINT}/{commit.repository}/tree/{commit.revision}"


def files_of(commit: Commit) -> list[HubFile]:
    """What is needed of it: of weights in several forms, only the preferred one.

    Raises:
        DownloadError: the hub does not say, or no file has a name of `weights`.
    """
    check_network(constants.ENDPOINT)
    with _refusing():
        tree = HfApi().list_repo_tree(commit.repository, recursive=True, revision=commit.revision)
        files = [file for file in tree if hasattr(file, "blob_id")]  # the others are folders
    for pattern in commit.patterns():
        if any(fnmatch(file.path, pattern) for file in files):
            wanted = (*CONFIGS, pattern)
            needed = [file for file in files if any(fnmatch(file.path, name) for name in wanted)]
            return [_hub_file(commit, file) for file in needed]
    raise DownloadError(f"it has no {' or '.join(commit.weights)}, which its kind needs")


def newest_commit(repository: str) -> str:
    """The commit of `main` that this machine has of a repository, else the hub's newest.

    Raises:
        DownloadError: this machine has none, and the hub does not say.
    """
    known = Commit(repository, "main", ()).cache / "refs/main"
    if known.is_file():
        return known.read_text(encoding="utf-8").strip()
    check_network(constants.ENDPOINT)
    with _refusing():
        return str(HfApi().model_info(repository).sha)


def remote_of(commit: Commit, file: HubFile) -> Remote:
    """Where the content of a file with a sum is fetched from."""
    token = build_hf_headers().get("authorization")
    return Remote(
        url=hf_hub_url(commit.repository, file.name, revision=commit.revision),
        place=file.blob, sha256=str(file.sha256), size=file.size,
        headers={"Authorization": token} if token else {},
    )  # fmt: skip


def complete(commit: Commit) -> None:
    """Fetch what is missing, and name all of it in the snapshot.

    Raises:
        DownloadError: the hub does not give it.
    """
    with _refusing():
        commit.snapshot(local_files_only=False)


def quiet() -> None:
    """Keep the hub's client from drawing bars beside ours, and from telling of every request."""
    disable_progress_bars()
    disable_propagation()
    for library in ("httpx", "httpx2"):
        logging.getLogger(library).setLevel(logging.WARNING)


def is_damaged(file: Path) -> bool:
    """Whether a file of the cache is not what its name there says; small ones have no sum of ours."""
    name = file.resolve().name
    return re.fullmatch("[0-9a-f]{64}", name) is not None and file_sha256(file) != name


def _hub_file(commit: Commit, file: Any) -> HubFile:
    sha256 = file.lfs.sha256 if file.lfs else None
    if not re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", name := sha256 or file.blob_id):
        raise DownloadError(f"the hub gives {file.path} the sum {name!r}, which is none")
    return HubFile(file.path, file.size, commit.cache / "blobs" / name, sha256)


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # those of HTTP are of another library with each major release of the client
        raise DownloadError(_reason(error)) from error


def _reason(error: Exception) -> str:
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    if isinstance(error, GatedRepoError) or status == 403:
        return "the hub gives it only to who accepted its terms: do so on its page, then run hf auth login"
    if isinstance(error, RepositoryNotFoundError) or status == 401:
        return "the hub has no such repository, or shows it only after hf auth login"
    if isinstance(error, RevisionNotFoundError):
        return "the repository has no such commit"
    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set, which keeps the hub from being asked"
    if status is not None:
        return f"the hub answered {status}"
    first_line, _, _ = str(error).partition("\n")
    return f"the hub's client failed ({first_line or type(error).__name__})"
