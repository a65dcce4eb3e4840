"""A hub on this machine: the part of the hub's interface that its client uses, with files of real folders."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.web_server import Handler

REVISION = "0123456789abcdef0123456789abcdef01234567"
LARGE = (".safetensors", ".bin", ".h5", ".pth")
"""What the hub keeps in its store of large files, under its SHA-256; the rest is in the git repository."""

PAGE = 3
"""Files of a page of the listing: as on the hub, the listing says where the next one is."""


@dataclass
class Hub:
    """Repositories by name at one revision, and what is wrong with the hub.

    Attributes:
        folders: files of each repository.
        refuse: status and X-Error-Code of every answer about a repository, by its name.
        large: sends a large file.
    """

    folders: dict[str, Path]
    refuse: dict[str, tuple[int, str]] = field(default_factory=dict)
    large: Callable[[Handler, bytes], None] = lambda handler, content: handler.send(content)
    tokens: set[str | None] = field(default_factory=set)

    def answer(self, handler: Handler) -> None:
        parts = handler.route.strip("/").split("/")
        if parts[0] == "store":
            self.large(handler, self._stored(parts[1]))
            return
        self.tokens.add(handler.headers.get("Authorization"))
        repository = "/".join(parts[2:4] if parts[0] == "api" else parts[:2])
        if repository in self.refuse:
            status, code = self.refuse[repository]
            handler.plain(status, b"", **{"X-Error-Code": code})
        elif repository not in self.folders:
            handler.plain(404 if parts[0] else 200, b"", **{"X-Error-Code": "RepoNotFound"})
        elif REVISION not in parts:
            handler.plain(404, b"", **{"X-Error-Code": "RevisionNotFound"})
        elif parts[0] == "api":
            self._list(handler, self.folders[repository])
        else:
            self._resolve(handler, self.folders[repository] / "/".join(parts[4:]))

    def _list(self, handler: Handler, folder: Path) -> None:
        start = int(parse_qs(urlsplit(handler.path).query).get("cursor", ["0"])[0])
        entries = [entry(path, folder) for path in sorted(folder.rglob("*"))]
        more = {"Content-Type": "application/json"}
        if start + PAGE < len(entries):
            url = f"http://{handler.headers['Host']}{handler.route}?recursive=true&cursor={start + PAGE}"
            more["Link"] = f'<{url}>; rel="next"'
        handler.plain(200, json.dumps(entries[start : start + PAGE]).encode(), **more)

    def _resolve(self, handler: Handler, path: Path) -> None:
        content = path.read_bytes()
        more = {"X-Repo-Commit": REVISION, "ETag": f'"{git_sum(content)}"'}
        if path.suffix in LARGE:
            sha256 = hashlib.sha256(content).hexdigest()
            more |= {"X-Linked-ETag": f'"{sha256}"', "X-Linked-Size": str(len(content))}
            # Another host, as on the hub.
            url = f"http://localhost:{handler.server.server_port}/store/{sha256}"
            handler.plain(302, b"", Location=url, **more)
        else:
            handler.plain(200, content, **more)

    def _stored(self, sha256: str) -> bytes:
        files = (
            path for folder in self.folders.values() for path in folder.rglob("*") if path.suffix in LARGE
        )
        contents = (path.read_bytes() for path in files)
        return next(content for content in contents if hashlib.sha256(content).hexdigest() == sha256)


def entry(path: Path, folder: Path) -> dict[str, object]:
    """A file or folder as the listing has it."""
    name = str(path.relative_to(folder))
    if path.is_dir():
        return {"type": "directory", "path": name, "oid": "0" * 40}
    content = path.read_bytes()
    found: dict[str, object] = {"type": "file", "path": name, "size": len(content), "oid": git_sum(content)}
    if path.suffix in LARGE:
        found["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
    return found


def git_sum(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
