"""All weights of a configuration, from a hub and a server on this machine, and a run with the network off."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from tests.backbones.checkpoints import MAKERS, clips, settings_of
from tests.backbones.hub_server import REVISION, Hub
from tests.web_server import Handler, Server, serve, wait_for, without_network
from vidkd.backbones import download as downloading
from vidkd.backbones import fetch as fetching
from vidkd.backbones.download import download
from vidkd.backbones.registry import BACKBONES, load_backbone
from vidkd.backbones.source import WEIGHTS
from vidkd.config.backbones import BackboneSettings, WeightsSettings
from vidkd.engine.weights import read_weights
from vidkd.errors import UserError

HUB = {"hub": "someone/small", "revision": REVISION}
ORIGINAL = bytes(range(256)) * 4000
SUM = hashlib.sha256(ORIGINAL).hexdigest()
ID = "12hEVVdrFv0VNAIqAIZ0UTeicn-tm4jva"
PAUSES = fetching.WAITS_S


@pytest.fixture(autouse=True)
def no_waits(monkeypatch):
    monkeypatch.setattr(fetching, "WAITS_S", (0, 0))


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache of the hub, for the code in this process."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "home/hub"))
    return tmp_path / "home/hub/models--someone--small"


def fetch_all(backbones: dict[str, dict[str, object]], starts: dict[str, str] | None = None) -> None:
    download(WeightsSettings.model_validate({"backbones": backbones, "starts": starts or {}}))


def refusal(*arguments) -> list[str]:
    """The lines of the message that a download ends with."""
    with pytest.raises(UserError) as error:
        fetch_all(*arguments)
    head, *lines = str(error.value).splitlines()
    assert head == "not all weights are here:"
    return lines


@pytest.fixture
def said(caplog):
    """A function that gives what was logged since it was called last."""
    caplog.set_level(logging.INFO, logger="vidkd")

    def take() -> str:
        text = "\n".join(caplog.messages)
        caplog.clear()
        return text

    return take


# ---- the hub


@pytest.fixture
def repository(tmp_path) -> Path:
    """A repository with more files than are needed of it."""
    folder = tmp_path / "repository"
    (folder / "onnx").mkdir(parents=True)
    (folder / "README.md").write_text("a card")
    (folder / "tf_model.h5").write_bytes(b"another library's")
    (folder / "model.fp16.safetensors").write_bytes(b"another precision")
    (folder / "onnx/model.safetensors").write_bytes(b"another folder")
    return folder


@pytest.fixture
def use(monkeypatch):
    """A function that makes a server the hub, for the code in this process."""

    def serve_here(url: str) -> None:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", url)
        template = url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)

    return serve_here


@pytest.fixture
def serving(repository, cache, use):
    """A function that serves a network as someone/small, on a hub with what is wrong with it."""

    @contextmanager
    def serving(kind: str = "timm", **wrong) -> Iterator[Server]:
        MAKERS[kind](repository)
        with serve(Hub({"someone/small": repository}, **wrong).answer) as server:
            use(server.url)
            yield server

    return serving


def of_hub(kind: str = "timm", **more: object) -> dict[str, dict[str, object]]:
    """A configuration with that network alone."""
    return {"net": {"kind": kind, **HUB, **more}}


def test_a_commit_of_the_hub(kind, repository, cache, serving, said):
    with serving(kind) as server:
        size = sum(file.stat().st_size for file in needed(repository))
        fetch_all(of_hub(kind))
        assert re.search(
            rf"backbones\.net \(someone/small at {REVISION}\): [\d.]+ .B, to be fetched into", said()
        )
        got = len(server.requests)
        fetch_all(of_hub(kind))
        assert len(server.requests) == got, "nothing is asked for what is here"
    snapshot = cache / "snapshots" / REVISION
    assert {file.name for file in snapshot.iterdir()} == {file.name for file in needed(repository)}
    assert sum(file.stat().st_size for file in snapshot.iterdir()) == size
    assert not list(cache.rglob("*.part"))
    assert "someone/small at" in (text := said())
    assert re.search(
        r"[\d.]+ .B, is here\nin all [\d.]+ .B, of which 0 bytes are to be fetched\nall weights", text
    )
    found = load_backbone(BackboneSettings(kind=kind, **HUB))
    clip = clips(1, found.spec.frames)
    assert torch.equal(found(clip), load_backbone(settings_of(kind, repository))(clip))


def needed(repository: Path) -> list[Path]:
    unused = ("README.md", "tf_model.h5", "model.fp16.safetensors")
    return [file for file in repository.iterdir() if file.is_file() and file.name not in unused]


def split(folder: Path) -> list[Path]:
    """The weights in two files and their index, as large ones are."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(weights)
    halves = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, part in halves.items():
        save_file({name: weights[name] for name in part}, folder / file, metadata={"format": "pt"})
    index = {"weight_map": {name: file for file, part in halves.items() for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return [folder / file for file in halves]


def test_weights_in_several_files(repository, cache, serving):
    settings = {"kind": "videomae", **HUB}
    with serving("videomae"):
        parts = split(repository)
        fetch_all({"net": settings})
        backbone = load_backbone(BackboneSettings(**settings))
        clip = clips(1, backbone.spec.frames)
        assert torch.equal(backbone(clip), load_backbone(settings_of("videomae", repository))(clip))
        (cache / "snapshots" / REVISION / parts[0].name).unlink()
        with pytest.raises(UserError, match=r"not on this machine\. Run snakemake download_weights"):
            load_backbone(BackboneSettings(**settings))
        fetch_all({"net": settings})
        load_backbone(BackboneSettings(**settings))


@pytest.mark.parametrize("both", [True, False])
def test_the_older_format_where_there_is_no_other(repository, cache, serving, both):
    with serving("timesformer"):
        torch.save(load_file(repository / "model.safetensors"), repository / "pytorch_model.bin")
        if not both:
            (repository / "model.safetensors").unlink()
        fetch_all(of_hub("timesformer"))
    assert (cache / "snapshots" / REVISION / "pytorch_model.bin").exists() is not both
    load_backbone(BackboneSettings(kind="timesformer", **HUB))


def test_a_repository_of_another_library(serving):
    with serving():
        (line,) = refusal(of_hub("clip"))
    assert (
        "it has no open_clip_model.safetensors or open_clip_pytorch_model.bin, which its kind needs" in line
    )


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (
            403,
            "GatedRepo",
            "gives it only to who accepted its terms: do so on its page, then run hf auth login",
        ),
        (401, "", "the hub has no such repository, or shows it only after hf auth login"),
        (404, "RepoNotFound", "the hub has no such repository, or shows it only after hf auth login"),
        (404, "RevisionNotFound", "the repository has no such commit"),
        (418, "", "the hub answered 418"),
    ],
)
def test_what_the_hub_refuses(serving, status, code, words):
    """Its own reason, and what to do; the other repository is fetched all the same."""
    closed = {"kind": "timm", "hub": "someone/closed", "revision": REVISION}
    with serving(refuse={"someone/closed": (status, code)}) as server:
        (line,) = refusal({"closed": closed, **of_hub()})
        url = server.url
    assert line.startswith(f"backbones.closed (someone/closed at {REVISION}): ")
    assert words in line
    assert f"Get its files from {url}/someone/closed/tree/{REVISION} in another way, place them into" in line
    load_backbone(BackboneSettings(kind="timm", **HUB))


def test_a_refused_file_is_named_with_its_sum(repository, serving):
    """Where the listing is open and the files are not, as with terms that nobody accepted."""
    with serving(large=lambda handler, content: handler.plain(403, b"")):
        (line,) = refusal(of_hub())
    weights = (repository / "model.safetensors").read_bytes()
    assert re.search(r"localhost:\d+ answered 403 Forbidden\. Get its files from http", line)
    sha256 = hashlib.sha256(weights).hexdigest()
    assert line.endswith(f": model.safetensors has {len(weights)} bytes and the sha256 {sha256}.")


def test_the_token_of_the_user(serving, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    tokens: set[str | None] = set()
    with serving(tokens=tokens):
        fetch_all(of_hub())
    assert tokens == {"Bearer hf_secret", None}, "None: the first look, whether anything answers at all"


def test_a_hub_that_breaks_off(serving):
    cuts = iter([1_000_000, 2_000_000, None])
    with serving(large=lambda handler, content: handler.send(content, until=next(cuts))) as server:
        fetch_all(of_hub())
    asked = [part for _, path, part in server.requests if path.startswith("/store/")]
    assert asked == [None, "bytes=1000000-", "bytes=2000000-"]
    load_backbone(BackboneSettings(kind="timm", **HUB))


def test_other_content_than_the_hub_lists(cache, serving):
    with serving(large=lambda handler, content: handler.send(bytes(len(content)))):
        (line,) = refusal(of_hub())
    assert "what came has the sha256" in line
    assert not (cache / "snapshots").exists()


def test_a_sum_beside_the_commit(repository, serving):
    """Whether it is fetched now or was here: the settings' sum is that of the weights."""
    with serving():
        sha256 = hashlib.sha256((repository / "model.safetensors").read_bytes()).hexdigest()
        for _ in range(2):
            (line,) = refusal(of_hub(sha256=SUM))
            assert f": the weights' sha256 is {sha256}, the settings say {SUM}. They are damaged, or" in line
        fetch_all(of_hub(sha256=sha256))


def test_a_damaged_file_in_the_cache(cache, serving):
    with serving():
        fetch_all(of_hub())
        blob = (cache / "snapshots" / REVISION / "model.safetensors").resolve()
        blob.write_bytes(bytes(100))
        (line,) = refusal(of_hub())
        assert line.endswith(
            f"{blob} has another sum than its name says. Delete this file and run this again."
        )
        blob.unlink()
        fetch_all(of_hub())
    load_backbone(BackboneSettings(kind="timm", **HUB))


# ---- addresses


def at(url: str | None, file: Path, **more: object) -> dict[str, object]:
    return {"kind": "videomae", "file": str(file), "sha256": SUM, "url": url, **more}


def test_an_address(tmp_path, said):
    file = tmp_path / "weights/w.pth"
    with serve(lambda handler: handler.send(ORIGINAL)) as server:
        fetch_all(
            {"net": at(f"{server.url}/w.pth", file), "same": at(f"{server.url}/w.pth", file, fp16=True)}
        )
        assert f"backbones.net, backbones.same ({file}): 1.0 MB, to be fetched into {file}" in said()
        assert server.ranges == [None, None], "once for its size, once for all of it"
        fetch_all({"net": at(f"{server.url}/w.pth", file)})
        assert len(server.requests) == 2
    assert file.read_bytes() == ORIGINAL
    assert f"backbones.net ({file}): 1.0 MB, is here" in said()


def test_an_address_of_which_a_part_is_here(tmp_path, said):
    file = tmp_path / "w.pth"
    (tmp_path / "w.pth.part").write_bytes(ORIGINAL[:512_000])
    with serve(lambda handler: handler.send(ORIGINAL)) as server:
        fetch_all({"net": at(f"{server.url}/w.pth", file)})
    assert "1.0 MB, of which 512.0 kB are here, to be fetched" in (text := said())
    assert "in all 1.0 MB, of which 512.0 kB are to be fetched" in text
    assert file.read_bytes() == ORIGINAL


def test_a_size_that_the_server_does_not_say(tmp_path, said):
    def chunked(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(ORIGINAL)
        handler.close_connection = True

    with serve(chunked) as server:
        fetch_all({"net": at(f"{server.url}/w.pth", tmp_path / "w.pth")})
    assert "size unknown, to be fetched" in (text := said())
    assert "in all 0 bytes, of which 0 bytes are to be fetched, and 1 of unknown size" in text


def test_google_drive(tmp_path, monkeypatch):
    with serve(lambda handler: handler.send(ORIGINAL)) as server:
        address = downloading.DRIVE.replace("https://drive.usercontent.google.com", server.url)
        assert address != downloading.DRIVE
        monkeypatch.setattr(downloading, "DRIVE", address)
        fetch_all({"amd": at(None, tmp_path / "w.pth", drive=ID)})
    assert (tmp_path / "w.pth").read_bytes() == ORIGINAL
    assert {path for _, path, _ in server.requests} == {f"/download?id={ID}&export=download&confirm=t"}


def test_google_drive_when_too_many_asked(tmp_path, monkeypatch):
    """All that a person needs to place the file by hand."""
    page = b"<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head></html>"
    with serve(lambda handler: handler.plain(200, page, **{"Content-Type": "text/html"})) as server:
        monkeypatch.setattr(downloading, "DRIVE", server.url + "/download?id={}")
        monkeypatch.chdir(tmp_path)
        (line,) = refusal({"amd": at(None, Path("weights/w.pth"), drive=ID)})
    assert re.fullmatch(
        r"backbones\.amd \(weights/w\.pth\): 127\.0\.0\.1:\d+ gave a web page "
        r"\(“Google Drive - Quota exceeded”\) in place of the file\. "
        rf"Get it from https://drive\.google\.com/file/d/{ID}/view in another way, "
        rf"and place the file at {re.escape(str(tmp_path))}/weights/w\.pth: its sha256 is {SUM}\.",
        line,
    )


def test_one_refusal_keeps_nothing_else_from_being_fetched(tmp_path):
    """Refused when asked for its size, and only later; each has its line, with the size where it is known."""
    left = {"/late": 1}

    def answer(handler: Handler) -> None:
        if handler.route == "/early" or left.get(handler.route, 1) == 0:
            handler.plain(403, b"")
            return
        left[handler.route] = left.get(handler.route, 2) - 1
        handler.send(ORIGINAL if handler.route != "/wrong" else ORIGINAL[::-1])

    with serve(answer) as server:
        names = ("early", "late", "wrong", "good")
        lines = refusal({name: at(f"{server.url}/{name}", tmp_path / name) for name in names})
    assert [line.partition(" ")[0] for line in lines] == [
        "backbones.early",
        "backbones.late",
        "backbones.wrong",
    ]
    assert "answered 403 Forbidden. Get it from" in lines[0]
    assert f"its sha256 is {SUM}, its size is {len(ORIGINAL)} bytes." in lines[1]
    assert "what came has the sha256" in lines[2]
    assert [file.name for file in tmp_path.iterdir()] == ["good"]


def test_another_file_where_it_belongs(tmp_path):
    """It may be the user's own: it stays."""
    file = tmp_path / "w.pth"
    file.write_bytes(b"mine")
    with serve(lambda handler: handler.send(ORIGINAL)) as server:
        (line,) = refusal({"net": at(f"{server.url}/w.pth", file)})
    assert not server.requests
    found = hashlib.sha256(b"mine").hexdigest()
    assert line.endswith(
        f"has the sha256 {found}, not {SUM}. Move it away and run this again, or mend sha256."
    )
    assert file.read_bytes() == b"mine"


def test_a_disk_without_room(tmp_path):
    """Nothing is fetched, not even what would fit."""
    sizes = {"/small": 1000, "/large": 10**18}

    def answer(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(sizes[handler.route]))
        handler.end_headers()
        handler.close_connection = True

    with serve(answer) as server:
        backbones = {name: at(f"{server.url}/{name}", tmp_path / "new" / name) for name in ("small", "large")}
        with pytest.raises(
            UserError, match=r"1000000\.0 TB of weights do not fit on the disk of .* left\. Free"
        ):
            fetch_all(backbones)
    assert len(server.requests) == 2
    assert not list(tmp_path.iterdir())


# ---- what only the user can place


def test_folders_and_files_of_the_user(tmp_path, monkeypatch, said):
    monkeypatch.chdir(tmp_path)
    MAKERS["timm"](Path("weights/timm"))
    Path("weights/w.pth").write_bytes(ORIGINAL)
    Path("start.pth").write_bytes(b"start")
    given = {
        "folder": {"kind": "timm", "folder": "weights/timm"},
        "gone": {"kind": "vivit", "folder": "weights/vivit"},
        "file": {"kind": "videomae", "file": "weights/w.pth", "sha256": SUM},
        "wrong": {"kind": "videomae", "file": "weights/w.pth", "sha256": "0" * 64},
        "absent": {"kind": "videomae", "file": "weights/v.pth", "sha256": SUM},
    }
    lines = refusal(given, {"ffn.ffn": "start.pth", "ffn.tsm": "other.pth"})
    assert re.search(r"backbones\.folder \(weights/timm\): [\d.]+ MB, is here", text := said())
    assert "backbones.file (weights/w.pth): 1.0 MB, is here" in text
    assert "ffn.ffn (start.pth): 5 bytes, is here" in text
    assert lines == [
        "backbones.gone (weights/vivit): no such folder. Place the model's files there, as the hub has them. "
        f"It belongs at {tmp_path}/weights/vivit.",
        f"backbones.wrong (weights/w.pth): the weights' sha256 is {SUM}, the settings say {'0' * 64}. "
        "They are damaged, or others than meant: fetch them again, or mend sha256. "
        f"It belongs at {tmp_path}/weights/w.pth.",
        f"backbones.absent (weights/v.pth): weights/v.pth does not exist. Place it there: its sha256 must be "
        f"{SUM}. It belongs at {tmp_path}/weights/v.pth.",
        f"ffn.tsm (other.pth): there is no such file. Place it at {tmp_path}/other.pth.",
    ]


def test_nothing_is_named(said):
    fetch_all({"small": {"kind": "vivit", "checkpoint": "vivit"}})
    assert said().startswith("the configuration names no weights that are made elsewhere\n")


# ---- torchvision


def test_weights_of_torchvision(tmp_path, monkeypatch, said):
    """From another address than torchvision's, to the place where a training looks."""
    from torchvision.models import ResNet18_Weights

    content = tmp_path / "content.pth"
    torch.save({"fc.bias": torch.arange(3.0)}, content)
    digits = hashlib.sha256(content.read_bytes()).hexdigest()[:8]
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    name = "ResNet18_Weights.IMAGENET1K_V1"
    with serve(lambda handler: handler.send(content.read_bytes())) as server:
        url = f"{server.url}/models/resnet18-{digits}.pth"
        monkeypatch.setattr(ResNet18_Weights.IMAGENET1K_V1.value, "url", url)
        fetch_all({}, {"ffn.ffn": name, "ffn.tsm": name})
    assert f"ffn.ffn, ffn.tsm ({name}): " in said()
    assert (tmp_path / f"torch/hub/checkpoints/resnet18-{digits}.pth").read_bytes() == content.read_bytes()
    assert read_weights(name)["fc.bias"].tolist() == [0, 1, 2]  # the server is gone


def test_weights_that_torchvision_does_not_know():
    (line,) = refusal({}, {"ffn.ffn": "ResNet18_Weights.LARGE"})
    assert line.startswith("ffn.ffn (ResNet18_Weights.LARGE): weights: torchvision knows no weights named")


# ---- processes


def process(command: str, home: Path, url: str, *arguments: str) -> list[str]:
    """A command of this interpreter with its caches in `home` and the hub at `url`."""
    variables = [f"HF_HOME={home}", f"TORCH_HOME={home}", f"HF_ENDPOINT={url}"]
    return ["env", "-u", "HF_HUB_OFFLINE", *variables, sys.executable, command, *arguments]


LOAD = f"""
from tests.backbones.checkpoints import clips
from vidkd.backbones.registry import load_backbone
from vidkd.config.backbones import BackboneSettings
found = load_backbone(BackboneSettings(kind="videomae", hub="someone/small", revision={REVISION!r}))
print(found.weights_sha256, float(found(clips(1, found.spec.frames)).double().sum()))
"""


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)


@pytest.mark.slow
def test_a_node_without_network(repository, tmp_path):
    """First without a download: the message says what to do, at once. Then with one."""
    MAKERS["videomae"](repository)
    with serve(Hub({"someone/small": repository}).answer) as server:
        load = without_network(*process("-c", tmp_path / "home", server.url, LOAD))
        start = time.monotonic()
        done = run(load)
        assert done.returncode != 0
        assert f"someone/small at {REVISION}: not on this machine. Run snakemake download" in done.stderr
        assert time.monotonic() - start < 60
        settings = json.dumps({"backbones": of_hub("videomae")})
        fetch = process(
            "-m", tmp_path / "home", server.url, "workflow_scripts.download_weights", "--settings", settings
        )
        done = run(without_network(*fetch))
        assert done.returncode == 2
        assert "127.0.0.1:" in done.stderr
        assert "cannot be reached from here" in done.stderr
        done = run(fetch)
        assert done.returncode == 0, done.stderr
        assert done.stderr.endswith("all weights are here\n")
    done = run(load)
    assert done.returncode == 0, done.stderr
    network = load_backbone(settings_of("videomae", repository))
    sha256 = hashlib.sha256((repository / "model.safetensors").read_bytes()).hexdigest()
    assert done.stdout.split() == [sha256, str(float(network(clips(1, network.spec.frames)).double().sum()))]
    assert run(without_network(*fetch)).returncode == 0, "all is here: no network is needed"


def test_torchvision_on_a_node_without_network(tmp_path):
    program = "from vidkd.engine.weights import read_weights; read_weights('ResNet18_Weights.IMAGENET1K_V1')"
    done = run(without_network(*process("-c", tmp_path, "http://127.0.0.1:9", program)))
    assert "weights: ResNet18_Weights.IMAGENET1K_V1 could not be downloaded" in done.stderr
    assert "Run snakemake download_weights where there is network, or name a file." in done.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_download_from_the_hub_that_is_killed(repository, tmp_path, cache, use):
    """SIGKILL in the middle of the weights; the next one asks for the rest only."""
    MAKERS["timm"](repository)
    half = (repository / "model.safetensors").stat().st_size // 2
    hub = Hub({"someone/small": repository}, large=lambda handler, content: handler.stall(content, half))
    settings = json.dumps({"backbones": of_hub()})
    with serve(hub.answer) as server:
        command = process(
            "-m", tmp_path / "home", server.url, "workflow_scripts.download_weights", "--settings", settings
        )
        child = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        wait_for(lambda: sum(file.stat().st_size for file in cache.rglob("*.part")) > half // 2)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        (part,) = cache.rglob("*.part")
        here = part.stat().st_size
        hub.large = lambda handler, content: handler.send(content)
        use(server.url)
        fetch_all(of_hub())
    assert server.ranges[-1] is None
    assert [asked for _, path, asked in server.requests if path.startswith("/store/")] == [
        None,
        f"bytes={here}-",
    ]
    load_backbone(BackboneSettings(kind="timm", **HUB))


# ---- docs/weights.md

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs/weights.md").read_text(encoding="utf-8")


def test_the_examples_of_the_document_are_settings():
    (text,) = re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)
    values = yaml.safe_load(re.sub(r"\bSUM\b", SUM, re.sub(r"\bCOMMIT\b", REVISION, text)))
    backbones = WeightsSettings.model_validate(values).backbones
    assert {settings.kind for settings in backbones.values()} == set(BACKBONES)


def test_every_kind_has_names_of_its_weights():
    assert set(WEIGHTS) == set(BACKBONES)


def test_the_pauses_of_the_document():
    *first, last = PAUSES
    assert f"after {', '.join(map(str, first))} and {last} seconds" in DOCUMENT
