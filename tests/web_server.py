"""A real HTTP server on this machine whose answers a test chooses."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """One request; `send` answers it as a good server does."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append((self.command, self.path, self.headers.get("Range")))
        self.server.answer(self)

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        """Nothing on the screen."""

    @property
    def route(self) -> str:
        return urlsplit(self.path).path

    @property
    def start(self) -> int:
        """First byte that is asked for."""
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        return int(match[1]) if match else 0

    def send(self, content: bytes, *, until: int | None = None, **headers: str) -> None:
        """The part that is asked for; the connection breaks off after byte `until` of the content."""
        total, start = len(content), self.start
        if start >= total > 0:
            self.plain(416, b"", **{"Content-Range": f"bytes */{total}"})
            return
        self.send_response(206 if "Range" in self.headers else 200)
        if "Range" in self.headers:
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        self.send_header("Content-Length", str(total - start))
        self.body(content[start:until], **headers)
        self.close_connection = until is not None

    def stall(self, content: bytes, until: int) -> None:
        """Send the content up to byte `until`, and no more until the other end is gone."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:until])
        self.wfile.flush()
        self.connection.settimeout(30)
        self.rfile.read(1)
        self.close_connection = True

    def plain(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.body(body, **headers)

    def body(self, body: bytes, **headers: str) -> None:
        for name, value in {"Content-Type": "application/octet-stream", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """Its requests as (method, path, range)."""

    daemon_threads = True

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer
        self.requests: list[tuple[str, str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def ranges(self) -> list[str | None]:
        return [asked for _, _, asked in self.requests]


@contextmanager
def serve(answer: Answer) -> Iterator[Server]:
    server = Server(answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def without_network(*command: str) -> list[str]:
    """The command, to be run where there is no network at all, not even this machine's own address."""
    for unshare in (["unshare", "-n"], ["unshare", "-rn"]):
        if shutil.which("unshare") and subprocess.run([*unshare, "true"], check=False).returncode == 0:
            return [*unshare, *command]
    pytest.skip("this machine lets nobody take the network from a process: unshare -n is refused")
