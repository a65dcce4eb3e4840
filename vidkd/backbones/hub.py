"""A commit of a repository on the Hugging Face hub: what this machine has of it.

`hub_files` fetches the rest: how that is done is no part of the code behind features.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError

CONFIGS = ("*.json", "*.txt", "*.model")
"""Patterns of the files that a repository has beside its weights: configuration and tokenizer."""


@dataclass(frozen=True)
class Commit:
    """A commit, and what the weights of a network are called in it.

    Attributes:
        repository: owner and name.
        revision: the commit, 40 digits.
        weights: names that the library gives its weights, the preferred one first.
    """

    repository: str
    revision: str
    weights: tuple[str, ...]

    @property
    def cache(self) -> Path:
        """Folder of the repository in the hub's cache."""
        return Path(constants.HF_HUB_CACHE) / f"models--{self.repository.replace('/', '--')}"

    def local_folder(self) -> Path | None:
        """The files on this machine, as a folder; None where weights or others are missing."""
        with suppress(LocalEntryNotFoundError):
            return self.snapshot(local_files_only=True)
        return None

    def snapshot(self, local_files_only: bool) -> Path | None:
        """The folder in which the hub's client names the files of the commit, of weights the preferred form.

        Args:
            local_files_only: whether it may not fetch what is missing.
        """
        for pattern in self.patterns():
            folder = Path(
                snapshot_download(
                    self.repository, revision=self.revision, allow_patterns=[*CONFIGS, pattern],
                    local_files_only=local_files_only,
                )
            )  # fmt: skip
            if any(folder.glob(pattern)):
                return folder
        return None

    def patterns(self) -> Iterator[str]:
        """Of each form that the weights may have: one file, or several, which their index lists."""
        for file in map(Path, self.weights):
            yield file.name
            yield f"{file.stem}-*{file.suffix}"
