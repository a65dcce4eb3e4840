"""Downloads against a real server that does all that servers do."""

from __future__ import annotations

import hashlib
import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.web_server import Handler, serve, wait_for
from vidkd.backbones import fetch as fetching
from vidkd.backbones.fetch import DownloadError, Remote, ask_size, bytes_text, fetch

CONTENT = random.Random(0).randbytes(5_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PAGE = (
    b"<!DOCTYPE html><html><head><title>Google Drive - Quota\n exceeded</title></head><body>no</body></html>"
)
HALF = 2_345_678


@pytest.fixture(autouse=True)
def waits(monkeypatch) -> list[float]:
    """The pauses that a download asked for, none of them made."""
    asked: list[float] = []
    monkeypatch.setattr(fetching.time, "sleep", asked.append)
    return asked


def remote(url: str, folder: Path, sha256: str = SHA256) -> Remote:
    return Remote(f"{url}/w.pth", folder / "weights" / "w.pth", sha256)


def arrived(wanted: Remote) -> bool:
    """The file is there, is right, and is all that is there."""
    return wanted.place.read_bytes() == CONTENT and list(wanted.place.parent.iterdir()) == [wanted.place]


def test_a_file(tmp_path, waits):
    with serve(lambda handler: handler.send(CONTENT)) as server:
        wanted = remote(server.url, tmp_path)
        assert ask_size(wanted) == len(CONTENT)
        assert not wanted.place.parent.exists()
        fetch(wanted, "w.pth")
    assert arrived(wanted)
    assert server.ranges == [None, None]
    assert not waits


def test_first_digits_of_the_sum(tmp_path):
    with serve(lambda handler: handler.send(CONTENT)) as server:
        fetch(remote(server.url, tmp_path, SHA256[:8]), "w.pth")


def test_a_connection_that_is_cut(tmp_path, waits):
    """Twice, in other places; each time it goes on where it was."""
    cuts = iter([HALF, HALF + 1000, None])
    with serve(lambda handler: handler.send(CONTENT, until=next(cuts))) as server:
        wanted = remote(server.url, tmp_path)
        fetch(wanted, "w.pth")
    assert arrived(wanted)
    assert server.ranges == [None, f"bytes={HALF}-", f"bytes={HALF + 1000}-"]
    assert waits == [1, 1]


def begun(wanted: Remote, content: bytes) -> Remote:
    """The file, of which an earlier download has left something."""
    wanted.part.parent.mkdir()
    wanted.part.write_bytes(content)
    return wanted


@pytest.mark.parametrize("length", [HALF, len(CONTENT)])
def test_an_earlier_download(tmp_path, length):
    """Of all it is one that was killed before it was put into place: the server has nothing from there on."""
    with serve(lambda handler: handler.send(CONTENT)) as server:
        wanted = begun(remote(server.url, tmp_path), CONTENT[:length])
        fetch(wanted, "w.pth")
    assert arrived(wanted)
    assert server.ranges == [f"bytes={length}-"]


@pytest.mark.parametrize("length", [HALF, len(CONTENT), len(CONTENT) + 1])
def test_an_earlier_download_of_another_file(tmp_path, length):
    with serve(lambda handler: handler.send(CONTENT)) as server:
        wanted = begun(remote(server.url, tmp_path), bytes(length))
        fetch(wanted, "w.pth")
    assert arrived(wanted)
    assert server.ranges == [f"bytes={length}-", None]


def ignores_parts(handler: Handler) -> None:
    handler.plain(200, CONTENT)


def test_a_server_that_knows_no_parts(tmp_path, waits):
    with serve(ignores_parts) as server:
        wanted = begun(remote(server.url, tmp_path), CONTENT[:HALF])
        fetch(wanted, "w.pth")
    assert arrived(wanted)
    assert len(server.requests) == 1
    assert not waits


def test_a_server_that_gives_another_part(tmp_path):
    def wrong_part(handler: Handler) -> None:
        if handler.start:
            more = {"Content-Range": f"bytes 7-{len(CONTENT) - 1}/{len(CONTENT)}"}
            handler.plain(206, CONTENT[7:], **more)
        else:
            handler.send(CONTENT)

    with serve(wrong_part) as server:
        wanted = begun(remote(server.url, tmp_path), CONTENT[:HALF])
        fetch(wanted, "w.pth")
    assert arrived(wanted)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_is_busy_twice(tmp_path, waits, status):
    left = [status, status]
    with serve(lambda handler: handler.plain(left.pop(), b"") if left else handler.send(CONTENT)) as server:
        wanted = remote(server.url, tmp_path)
        fetch(wanted, "w.pth")
    assert arrived(wanted)
    assert waits == [1, 2]


def test_a_server_that_stays_busy(tmp_path, waits):
    with serve(lambda handler: handler.plain(503, b"")) as server:
        wanted = remote(server.url, tmp_path)
        with pytest.raises(
            DownloadError, match=r"127\.0\.0\.1:\d+ answered 503 Service Unavailable, tried 6 times"
        ):
            fetch(wanted, "w.pth")
    assert waits == [1, 2, 4, 8, 16]
    assert not list(wanted.place.parent.iterdir())


def test_what_has_come_is_kept_when_a_server_gives_up(tmp_path):
    first = [True]

    def once(handler: Handler) -> None:
        handler.send(CONTENT, until=HALF) if first else handler.plain(503, b"")
        first.clear()

    with serve(once) as server:
        wanted = remote(server.url, tmp_path)
        with pytest.raises(DownloadError, match="503"):
            fetch(wanted, "w.pth")
    assert wanted.part.read_bytes() == CONTENT[:HALF]
    assert wanted.here == HALF
    assert not wanted.place.exists()


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_server_that_refuses(tmp_path, waits, status):
    with serve(lambda handler: handler.plain(status, PAGE, **{"Content-Type": "text/html"})) as server:
        wanted = remote(server.url, tmp_path)
        for ask in (ask_size, lambda wanted: fetch(wanted, "w.pth")):
            with pytest.raises(DownloadError, match=rf"127\.0\.0\.1:\d+ answered {status} \w+"):
                ask(wanted)
    assert not waits
    assert not list(wanted.place.parent.iterdir())


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/octet-stream"])
def test_a_web_page_in_place_of_the_file(tmp_path, kind):
    with serve(lambda handler: handler.plain(200, PAGE, **{"Content-Type": kind})) as server:
        wanted = remote(server.url, tmp_path)
        with pytest.raises(
            DownloadError, match=r"gave a web page .“Google Drive - Quota exceeded”. in place of the"
        ):
            fetch(wanted, "w.pth")
    assert not list(wanted.place.parent.iterdir())


def test_other_content(tmp_path):
    other = CONTENT[:-1] + b"?"
    with serve(lambda handler: handler.send(other)) as server:
        wanted = remote(server.url, tmp_path)
        with pytest.raises(
            DownloadError, match=rf"has the sha256 {hashlib.sha256(other).hexdigest()}, not {SHA256}"
        ):
            fetch(wanted, "w.pth")
    assert not list(wanted.place.parent.iterdir())
    assert server.ranges == [None]


def no_size(handler: Handler, until: int | None = None) -> None:
    """In chunks; a cut is one in which the last, empty one does not come."""
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for start in range(0, until or len(CONTENT), 100_000):
        piece = CONTENT[start : start + 100_000]
        handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
    if until is None:
        handler.wfile.write(b"0\r\n\r\n")
    else:
        handler.close_connection = True


def test_a_size_that_nobody_knows(tmp_path):
    with serve(no_size) as server:
        wanted = remote(server.url, tmp_path)
        assert ask_size(wanted) is None
        fetch(wanted, "w.pth")
    assert arrived(wanted)


def test_a_cut_where_nobody_knows_the_size(tmp_path, waits):
    cuts = iter([HALF, None])
    with serve(lambda handler: no_size(handler, next(cuts))) as server:
        wanted = remote(server.url, tmp_path)
        fetch(wanted, "w.pth")
    assert arrived(wanted)
    assert len(waits) == 1


def test_a_server_that_falls_silent(tmp_path, monkeypatch, waits):
    monkeypatch.setattr(fetching, "TIMEOUT_S", 0.2)
    silent = [True]

    def answer(handler: Handler) -> None:
        if silent:
            silent.clear()
            handler.stall(CONTENT, HALF)
        else:
            handler.send(CONTENT)

    with serve(answer) as server:
        wanted = remote(server.url, tmp_path)
        fetch(wanted, "w.pth")
    assert arrived(wanted)
    assert len(waits) == 1
    assert int(server.ranges[1].removeprefix("bytes=").removesuffix("-")) > 1_000_000


def test_a_token_stays_with_its_host(tmp_path):
    """The hub sends whoever asks for a file to another host, which must not get the token; but the range."""
    seen = {}

    def store(handler: Handler) -> None:
        seen["store"] = handler.headers
        handler.send(CONTENT)

    with serve(store) as other:

        def hub(handler: Handler) -> None:
            seen["hub"] = handler.headers
            handler.plain(302, b"", Location=f"{other.url}/w.pth")

        with serve(hub) as server:
            wanted = Remote(
                f"{server.url}/w", tmp_path / "w.pth", SHA256, headers={"Authorization": "Bearer t"}
            )
            wanted.part.write_bytes(CONTENT[:HALF])
            fetch(wanted, "w.pth")
    assert seen["hub"]["Authorization"] == "Bearer t"
    assert seen["store"]["Authorization"] is None
    assert seen["store"]["Range"] == f"bytes={HALF}-"


def test_nobody_listens(tmp_path, waits):
    with serve(ignores_parts) as server:
        pass
    wanted = remote(server.url, tmp_path)
    with pytest.raises(
        DownloadError, match=r"the connection to 127\.0\.0\.1:\d+ failed .*refused.*, tried 6 times"
    ):
        ask_size(wanted)


@pytest.mark.parametrize(
    "url", ["http://[::1/b", "http://localhost:x/b", "http://localhost/\u00e9", f"http://{'h' * 64}/b"]
)
def test_what_is_no_address(tmp_path, waits, url):
    with pytest.raises(DownloadError, match="is no address"):
        fetch(Remote(url, tmp_path / "b", "0" * 64), "b")
    assert waits == []


def test_no_such_host(tmp_path, waits):
    with pytest.raises(DownloadError, match=r"weights\.invalid cannot be reached from here"):
        ask_size(Remote("https://weights.invalid/w.pth", tmp_path / "w.pth", SHA256))
    assert not waits


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "weights").write_text("a file")
    with (
        serve(lambda handler: handler.send(CONTENT)) as server,
        pytest.raises(DownloadError, match="cannot be written"),
    ):
        fetch(remote(server.url, tmp_path), "w.pth")


def test_a_full_disk(tmp_path):
    """What came stays, and the message says what is short."""
    with serve(lambda handler: handler.send(CONTENT)) as server:
        wanted = remote(server.url, tmp_path)
        done = child(wanted, limit=HALF)
        assert done.wait() == 1
    assert wanted.part.read_bytes() == CONTENT[:HALF]
    assert re.search(r"w\.pth\.part cannot be written \(File too large\)", done.stderr.read())
    assert not wanted.place.exists()


PROGRAM = """
import resource, signal, sys
from pathlib import Path
from vidkd.backbones.fetch import DownloadError, Remote, fetch
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]), -1))
try:
    fetch(Remote(sys.argv[1], Path(sys.argv[2]), sys.argv[3]), "w.pth")
except DownloadError as error:
    sys.exit(str(error))
"""


def child(wanted: Remote, limit: int = -1) -> subprocess.Popen[str]:
    """A download in a process that may write files of `limit` bytes."""
    command = [sys.executable, "-c", PROGRAM, wanted.url, str(wanted.place), wanted.sha256, str(limit)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def test_a_download_that_is_killed(tmp_path):
    """With SIGKILL, in the middle; the next one goes on, and a second one beside it is refused."""
    slow = [True]

    def answer(handler: Handler) -> None:
        handler.stall(CONTENT, HALF) if slow else handler.send(CONTENT)

    with serve(answer) as server:
        wanted = remote(server.url, tmp_path)
        process = child(wanted)
        wait_for(lambda: wanted.here > 1_000_000)
        with pytest.raises(DownloadError, match="another process is fetching it"):
            fetch(wanted, "w.pth")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        here = wanted.here
        assert wanted.part.read_bytes() == CONTENT[:here]
        slow.clear()
        fetch(wanted, "w.pth")
    assert arrived(wanted)
    assert server.ranges == [None, f"bytes={here}-"]


def test_a_bar_on_a_terminal(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fetching, "on_terminal", lambda: True)
    with serve(lambda handler: handler.send(CONTENT)) as server:
        wanted = remote(server.url, tmp_path)
        fetch(Remote(wanted.url, wanted.place, SHA256, len(CONTENT)), "backbones.clip")
    assert "backbones.clip: 100%" in capsys.readouterr().err


def test_lines_in_a_log(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(fetching, "LINE_EVERY_S", 0)
    caplog.set_level("INFO")
    with serve(lambda handler: handler.send(CONTENT)) as server:
        wanted = remote(server.url, tmp_path)
        fetch(Remote(wanted.url, wanted.place, SHA256, len(CONTENT)), "backbones.clip")
    pattern = r"backbones\.clip: \d\.\d MB of 5\.0 MB, \d:\d\d:\d\d left, [\d.]+ [kMG]B/s"
    assert all(re.fullmatch(pattern, line) for line in caplog.messages)
    assert caplog.messages[-1].startswith("backbones.clip: 5.0 MB of 5.0 MB, 0:00:00 left")


def test_lines_before_anything_has_come(tmp_path, monkeypatch, caplog):
    """A busy server that then knows no parts: what was here is taken off first, and no rate is known."""
    monkeypatch.setattr(fetching, "LINE_EVERY_S", 0)
    caplog.set_level("INFO", logger="vidkd.backbones.fetch")
    busy = [True]

    def answer(handler: Handler) -> None:
        handler.plain(503, b"") if busy and busy.pop() else ignores_parts(handler)

    with serve(answer) as server:
        wanted = begun(remote(server.url, tmp_path), CONTENT[:HALF])
        fetch(Remote(wanted.url, wanted.place, SHA256, len(CONTENT)), "w.pth")
    assert arrived(wanted)
    waited, *lines = caplog.messages
    assert waited.endswith("answered 503 Service Unavailable; again in 1 s")
    assert lines[0].startswith("w.pth: 1.0 MB of 5.0 MB")


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (87_149_999, "87.1 MB"), (999_960_000, "1.0 GB")],
)
def test_sizes_in_words(count, text):
    assert bytes_text(count) == text
