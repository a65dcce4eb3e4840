"""Awkward files through the probe and through the extraction: each has a reason, or its own frames."""

from __future__ import annotations

import ast
import json
import os
import re
import struct
import tempfile
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.data.videos import number_of, write_audio, write_video
from vidkd.config.data import FrameSettings
from vidkd.data.extract import extract_shard
from vidkd.data.frames import FrameStore
from vidkd.data.probe import COLUMNS, probe_shard
from vidkd.data.sampling import segment_centres
from vidkd.data.tables import read_rows, write_rows
from vidkd.video.decode import TooFewFrames, UnreadableVideo, decode_frames, probe_video

ROOT = Path(__file__).resolve().parents[2]
MILLION, NOTHING = struct.pack(">I", 10**6), bytes(4)
CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl"}
FRAMES = FrameSettings(per_video=4, encoding="raw")
INFO = COLUMNS[COLUMNS.index("frames") : COLUMNS.index("status")]


def find_boxes(data, start=0, end=None):
    """Type and start of every box of an MP4 file."""
    end = len(data) if end is None else end
    while start + 8 <= end:
        size, kind = struct.unpack(">I4s", data[start : start + 8])
        yield kind, start
        if kind in CONTAINERS or kind == b"stsd":
            yield from find_boxes(data, start + (16 if kind == b"stsd" else 8), start + size)
        start += size


def patched(data, *edits):
    """`data` with bytes written at an offset inside the content of boxes of a type."""
    changed = bytearray(data)
    for kind, offset, value in edits:
        places = [start + 8 + offset for found, start in find_boxes(data) if found == kind]
        assert places, kind
        for place in places:
            changed[place : place + len(value)] = value
    return bytes(changed)


def patched_avi(data, *edits):
    changed = bytearray(data)
    for kind, offset, value in edits:
        place = data.index(kind) + 8 + offset
        changed[place : place + len(value)] = value
    return bytes(changed)


def count_decoded(path):
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def write_files(folder):
    """Each file with the reason it is excluded for, or the number of its frames."""
    mp4 = write_video(folder / "good.mp4", 40).read_bytes()
    plain = write_video(folder / "plain.mp4", 40, bf="0").read_bytes()
    avi = write_video(folder / "good.avi", 40, "mpeg4").read_bytes()
    mkv = write_video(folder / "good.mkv", 40).read_bytes()
    webm = write_video(folder / "good.webm", 40, "libvpx-vp9").read_bytes()
    expected = {"good.mp4": 40, "plain.mp4": 40, "good.avi": 40, "good.mkv": 40, "good.webm": 40}

    def write(name, content, outcome):
        (folder / name).write_bytes(content)
        expected[name] = outcome

    for name, content in {"mp4": mp4, "mkv": mkv, "webm": webm, "avi": avi}.items():
        for share in (0.8, 0.9, 0.99):
            write(f"cut at {share}.{name}", content[: int(share * len(content))], "truncated")
    stream = write_video(folder / "good.ts", 40).read_bytes()
    write("cut.ts", stream[: len(stream) // 2], 0)
    expected |= {"good.ts": 40, "cut.ts": count_decoded(folder / "cut.ts")}  # nothing shows that it is cut
    write("tail.mp4", mp4 + b"appended by a camera", 40)
    write("empty.mp4", b"", "empty")
    write("page.mp4", b"<html><body>404 not found</body></html>\n" * 100, "unreadable")
    write("zeros.mp4", bytes(300_000), "unreadable")
    write("random.mp4", np.random.default_rng(0).bytes(300_000), "unreadable")
    write("subtitles.mp4", b"1\n00:00:00,000 --> 00:00:02,000\nhello\n", "no_video")
    write("list.mp4", b"ffconcat version 1.0\nfile good.mp4\n", "no_video")
    write(
        "list.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:4,\ngood.mp4\n#EXT-X-ENDLIST\n", "no_video"
    )

    write("million by times.mp4", patched(mp4, (b"stts", 8, MILLION)), 40)
    write("million by sizes.mp4", patched(mp4, (b"stsz", 8, MILLION)), "no_frame")
    million = struct.pack("<I", 10**6)
    write("million.avi", patched_avi(avi, (b"avih", 16, million), (b"strh", 32, million)), 40)
    durations = [(b"mvhd", 16, NOTHING), (b"tkhd", 20, NOTHING), (b"mdhd", 16, NOTHING)]
    write("no duration.mp4", patched(plain, *durations), 40)
    day = [(b"mvhd", 16, struct.pack(">I", 86_400_000)), (b"mdhd", 16, struct.pack(">I", 2**31))]
    write("a day.mp4", patched(mp4, *day), 40)
    write("no time passes.mp4", patched(plain, *durations, (b"stts", 12, NOTHING)), 40)
    length = [(b"avih", 0, NOTHING), (b"strh", 20, bytes(8)), (b"strh", 32, NOTHING)]
    write("no duration.avi", patched_avi(avi, *length), 40)
    write("0x0.mp4", patched(mp4, (b"tkhd", 76, bytes(8)), (b"avc1", 24, NOTHING)), 40)
    write("0x0.avi", patched_avi(avi, (b"avih", 32, bytes(8)), (b"strf", 4, bytes(8))), 40)
    write("0x0.y4m", b"YUV4MPEG2 W0 H0 F25:1 Ip A0:0\nFRAME\n", "unreadable")

    write_audio(folder / "sound.mp4")
    write_video(folder / "one.mp4", 1)
    for suffix in ("png", "jpeg", "webp", "bmp"):
        Image.new("RGB", (64, 48), "red").save(folder / f"{suffix}.mp4", suffix)
        expected[f"{suffix}.mp4"] = "no_video"
    (folder / "folder.mp4").mkdir()
    (folder / "link to nothing.mp4").symlink_to("nowhere.mp4")
    (folder / "link to itself.mp4").symlink_to("link to itself.mp4")
    (folder / "link.mp4").symlink_to("good.mp4")
    os.mkfifo(folder / "pipe.mp4")
    expected |= {"sound.mp4": "no_video", "one.mp4": 1, "folder.mp4": "no_frame", "link.mp4": 40}
    gone = ("link to nothing.mp4", "link to itself.mp4", "pipe.mp4", "never there.mp4")
    return expected | dict.fromkeys(gone, "missing")


NAMES = [
    "http:x.mp4",
    "a:b.mp4",
    "x%03d.mp4",
    "-i.mp4",
    "?*[1].mp4",
    "one\ntwo.mp4",
    "'\"\\ .mp4",
    "ü漢🙂.mp4",
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The folder, the probed rows by path, what is expected, and the frame store."""
    folder = tmp_path_factory.mktemp("awkward")
    expected = write_files(folder)
    for name in NAMES:
        (folder / name).write_bytes((folder / "good.mp4").read_bytes())
        expected[name] = 40
    rows = [
        {"video_id": name, "path": name, "label": "x", "split": "train", "group": ""}
        for name in sorted(expected)
    ]
    write_rows(folder / "shard_0.csv", rows, list(rows[0]))
    (folder / "classes.json").write_text(json.dumps(["x"]))
    before = Path.cwd()
    os.chdir(folder)  # so that a name with a colon begins the path
    try:
        probe_shard(Path("shard_0.csv"), Path("classes.json"), 0, Path(), Path("probe.csv"))
        extract_shard(Path("probe.csv"), "train", Path(), Path("train.h5"), FRAMES)
    finally:
        os.chdir(before)
    probed = {row["path"]: row for row in read_rows(folder / "probe.csv")}
    return folder, probed, expected, FrameStore([folder / "train.h5"])


def test_each_has_its_reason_or_its_number_of_frames(data):
    _, probed, expected, _ = data
    found = {
        name: row["reason"] if row["status"] == "excluded" else int(row["frames"])
        for name, row in probed.items()
    }
    assert found == expected


def test_reasons_are_explained_without_the_folder(data):
    folder, probed, _, _ = data
    for row in probed.values():
        assert bool(row["detail"]) == bool(row["reason"]) == (row["status"] == "excluded")
        assert str(folder) not in row["detail"]
        assert "\n" not in row["detail"]


def test_what_is_usable_has_its_own_frames(data):
    _, _, expected, store = data
    assert sorted(store.video_ids) == sorted(
        name for name, outcome in expected.items() if isinstance(outcome, int)
    )
    assert store.excluded == []
    for row, name in enumerate(store.video_ids):
        shown = [number_of(image) for image in store.clip(row, range(4))]
        assert shown == segment_centres(expected[name], 4).tolist(), name


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("no duration.mp4", "plain.mp4"),
        ("a day.mp4", "good.mp4"),
        ("0x0.mp4", "good.mp4"),
        ("million.avi", "good.avi"),
    ],
)
def test_a_header_that_lies_misleads_nobody(data, name, like):
    _, probed, _, _ = data
    found, truth = ([probed[video][column] for column in INFO] for video in (name, like))
    assert found == truth


def test_an_avi_that_claims_a_million_frames_has_its_own_length(data):
    folder, probed, _, _ = data
    assert float(probed["million.avi"]["duration"]) == 4
    with pytest.raises(TooFewFrames) as caught:
        decode_frames(folder / "million.avi", [999_999])
    assert caught.value.decoded == 40


def test_a_listed_video_that_changed_since_the_probe_is_excluded_then(data, tmp_path):
    """What the probe saw whole is put in the place of what it has become."""
    folder, probed, expected, _ = data
    late = {
        name: probed["good.mp4"] | {"video_id": name, "path": name}
        for name, outcome in expected.items()
        if isinstance(outcome, str) and not name.startswith("cut at")
    }
    write_rows(tmp_path / "probe.csv", late.values(), COLUMNS)
    extract_shard(tmp_path / "probe.csv", "train", folder, tmp_path / "train.h5", FRAMES)
    store = FrameStore([tmp_path / "train.h5"])
    assert store.video_ids == []
    found = {name: reason for name, reason, _ in store.excluded}
    assert found.pop("million by sizes.mp4") in ("too_short", "no_frame", "decode_error")
    assert found == {name: expected[name] for name in found}


def test_a_file_and_a_folder_without_permission(data):
    folder = data[0]
    with tempfile.TemporaryDirectory() as place:
        open_to_all = Path(place)
        open_to_all.chmod(0o755)
        for name in ("file.mp4", "closed/file.mp4"):
            (open_to_all / name).parent.mkdir(exist_ok=True)
            (open_to_all / name).write_bytes((folder / "good.mp4").read_bytes())
        (open_to_all / "file.mp4").chmod(0)
        (open_to_all / "closed").chmod(0)
        pid = os.fork() if os.geteuid() == 0 else None
        if pid:  # root may read everything, so that another user has to try
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
            return
        code = 1
        try:
            if pid == 0:
                os.setgid(65534)
                os.setuid(65534)
            _check_refused(open_to_all)
            code = 0
        finally:
            if pid == 0:
                os._exit(code)
            (open_to_all / "closed").chmod(0o755)


def _check_refused(folder):
    for name in ("file.mp4", "closed/file.mp4"):
        for look in (probe_video, lambda path: decode_frames(path, [0])):
            with pytest.raises(UnreadableVideo) as caught:
                look(folder / name)
            assert (caught.value.reason, caught.value.detail) == ("unreadable", "Permission denied")


def test_the_document_has_every_reason():
    """Of each place in the code that excludes a video, and no other."""
    raised = set()
    for file in (ROOT / "vidkd").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "UnreadableVideo":
                raised.add(ast.literal_eval(node.args[0]))
    raised.add("truncated")  # of TooFewFrames
    table = (ROOT / "docs/videos.md").read_text().partition("## Reasons")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == raised | {"reason"}


def test_the_document_has_every_column():
    text = (ROOT / "docs/videos.md").read_text().partition("## Columns")[2].partition("\n## ")[0]
    named = {
        name
        for cell in re.findall(r"^\| (`.+?`) \|", text, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", cell)
    }
    assert named == set(COLUMNS)
