"""Lists, folders and stores of others: nothing that they name is read or written elsewhere."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import onnx
import PIL.Image
import pytest
from onnx import TensorProto, helper
from PIL import EpsImagePlugin

from tests.backbones.hub_server import REVISION, Hub
from tests.data.adapters.trees import listed, put_videos, write
from tests.data.feature_files import write_shard
from tests.web_server import serve
from vidkd.artefacts import file_sha256
from vidkd.backbones.fetch import DownloadError
from vidkd.backbones.hub import Commit
from vidkd.backbones.hub_files import files_of
from vidkd.config.data import FrameSettings
from vidkd.data.frames import FrameStore
from vidkd.data.pixels import decode_jpeg
from vidkd.errors import UserError
from vidkd.features.store import FeatureStore
from vidkd.methods.fusion.bundle import load_bundle, sum_of
from vidkd.methods.student.export import load_exported
from vidkd.methods.student.settings import StudentSettings
from vidkd.video.decode import UnreadableVideo, decode_frames, probe_video

# ---- lists of videos


def csv_list(root: Path, name: str) -> None:
    write(root, {"annotations/train.csv": f"{name},walk\n"})


def demo_list(root: Path, name: str) -> None:
    write(root, {"annotations/train.csv": f"path,motion,group\n{name},walk,\n"})


def hmdb51_list(root: Path, name: str) -> None:
    write(root, {"annotations/walk_test_split1.txt": f"{name} 1\n"})


def ssv2_list(root: Path, name: str) -> None:
    entry = {"id": name.removesuffix(".webm"), "template": "walk"}
    write(root, {"annotations/train.json": json.dumps([entry])})


def kinetics_list(root: Path, name: str) -> None:
    header = "label,youtube_id,time_start,time_end"
    video = name.removesuffix("_000001_000002.mp4")
    write(root, {"annotations/train.csv": f"{header}\nwalk,{video},1,2\n"})


def ucf101_list(root: Path, name: str) -> None:
    write(root, {"annotations/trainlist01.txt": f"{name} 1\n"})


LISTS: dict[str, tuple[Callable[[Path, str], None], list[str], str]] = {
    "csv": (csv_list, ["../x.mp4", "a/../../x.mp4", "/etc/x.mp4"], "link.mp4"),
    "demo": (demo_list, ["../x.mp4", "/etc/x.mp4"], "link.mp4"),
    "hmdb51": (hmdb51_list, ["../../x.avi", "../../../etc/x.avi"], "walk/link.avi"),
    "ssv2": (ssv2_list, ["../x", "/etc/x"], "link.webm"),
    "kinetics": (kinetics_list, ["../../../x"], "link_000001_000002.mp4"),
    "ucf101": (ucf101_list, ["../x/v_x_g01_c01.avi", "/etc/x/v_x_g01_c01.avi"], "walk/v_walk_g01_c01.avi"),
}
"""How a list that names one video is written, names that lead elsewhere, and where a link would lie."""


@pytest.mark.parametrize(
    ("adapter", "name"), [(adapter, name) for adapter, (_, names, _) in LISTS.items() for name in names]
)
def test_a_list_names_no_video_of_another_folder(tmp_path, adapter, name):
    root = tmp_path / "outer/root"
    root.mkdir(parents=True)
    LISTS[adapter][0](root, name)
    with pytest.raises(UserError, match=r"is not inside|expected `Class"):
        listed(root, adapter, "annotations", label="motion")


@pytest.mark.parametrize("adapter", LISTS)
def test_a_listed_link_stays_in_the_root(tmp_path, adapter):
    write_list, _, link = LISTS[adapter]
    put_videos(tmp_path / "outside", [f"secret{Path(link).suffix}"])
    root = tmp_path / "root"
    (root / link).parent.mkdir(parents=True)
    (root / link).symlink_to(tmp_path / f"outside/secret{Path(link).suffix}")
    write_list(root, link.rpartition("/")[2] if adapter == "hmdb51" else link)
    with pytest.raises(UserError, match="is a link that leaves"):
        listed(root, adapter, "annotations", label="motion")


@pytest.mark.parametrize(
    ("adapter", "link"), [("folder", "walk/link.mp4"), ("xd_violence", "train/v_label_A.mp4")]
)
def test_a_link_among_folders_stays_in_the_root(tmp_path, adapter, link):
    put_videos(tmp_path / "outside", ["secret.mp4"])
    (tmp_path / "root" / link).parent.mkdir(parents=True)
    (tmp_path / "root" / link).symlink_to(tmp_path / "outside/secret.mp4")
    with pytest.raises(UserError, match="is a link that leaves"):
        listed(tmp_path / "root", adapter)


# ---- images


@pytest.mark.parametrize("video", ["video", "flat"])
def test_an_image_that_is_a_link_stays_in_its_folder(tmp_path, video):
    PIL.Image.new("RGB", (8, 8)).save(tmp_path / "secret.png")
    folder = tmp_path / "root" / ("video" if video == "video" else "")
    names = ["0.png", "1.png"] if video == "video" else ["flat_frame_0.png", "flat_frame_1.png"]
    folder.mkdir(parents=True)
    shutil.copy(tmp_path / "secret.png", folder / names[0])
    (folder / names[1]).symlink_to(names[0])
    assert probe_video(tmp_path / "root" / video).frames == 2
    (folder / names[1]).unlink()
    (folder / names[1]).symlink_to(tmp_path / "secret.png")
    for read in (probe_video, lambda path: decode_frames(path, [0])):
        with pytest.raises(UnreadableVideo, match=r"1\.png is a link that leaves its folder"):
            read(tmp_path / "root" / video)


def test_a_picture_runs_no_postscript(tmp_path, mark, monkeypatch):
    """Pillow gives PostScript to `gs`, whatever the file is called."""
    (tmp_path / "gs").write_text(f"#!/bin/sh\nmkdir -p {mark}\n")
    (tmp_path / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)  # not looked for yet
    program = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"
    (tmp_path / "video").mkdir()
    (tmp_path / "video/0.jpg").write_bytes(program)
    with pytest.raises(UnreadableVideo, match=r"0\.jpg is no image"):
        decode_frames(tmp_path / "video", [0])
    with pytest.raises(PIL.UnidentifiedImageError):
        decode_jpeg(np.frombuffer(program, np.uint8))


# ---- stores


def linked(file: h5py.File, secret: Path) -> None:
    del file["features"]
    file["features"] = h5py.ExternalLink(os.path.relpath(secret, Path(file.filename).parent), "features")


def labels_linked(file: h5py.File, secret: Path) -> None:
    del file["label_id"]
    file["label_id"] = h5py.ExternalLink(str(secret), "label_id")


def linked_twice(file: h5py.File, secret: Path) -> None:
    del file["features"]
    file.create_group("inner")["there"] = h5py.ExternalLink(str(secret), "features")
    file["features"] = h5py.SoftLink("/inner/there")


def virtual(file: h5py.File, secret: Path) -> None:
    found = file["features"]
    layout = h5py.VirtualLayout(found.shape, found.dtype)
    layout[:] = h5py.VirtualSource(str(secret), "features", found.shape, found.dtype)
    del file["features"]
    file.create_virtual_dataset("features", layout)


def raw(file: h5py.File, secret: Path) -> None:
    shape, dtype = file["features"].shape, file["features"].dtype
    del file["features"]
    file.create_dataset("features", shape, dtype, external=[(str(secret), 0, h5py.h5f.UNLIMITED)])


@pytest.mark.parametrize("change", [linked, labels_linked, linked_twice, virtual, raw])
def test_a_store_has_its_data_in_itself(tmp_path, change):
    secret = write_shard(tmp_path / "mine/shard_0.h5", ["a", "b"])
    theirs = write_shard(tmp_path / "theirs/shard_0.h5", ["a", "b"])
    assert len(FeatureStore([theirs])) == 2
    with h5py.File(theirs, "a") as file:
        change(file, secret)
    with pytest.raises(UserError, match=r"is not a whole feature store.*lies in another file"):
        FeatureStore([theirs])
    with pytest.raises(UserError, match=r"is not a whole frame store.*lies in another file"):
        FrameStore([theirs])


# ---- exported networks


ABOUT = {"bundle": 1, "converters": [], "backbone": {"folder": "student"}, "files": {}}


@pytest.mark.parametrize(
    "change",
    [
        {"files": {"../secret": "0"}}, {"files": {"/etc/passwd": "0"}}, {"backbone": {"folder": "../mine"}},
        {"backbone": {"file": "/etc/passwd"}}, {"converters": ["../../mine"]}, {},
    ],
)  # fmt: skip
def test_a_bundle_names_nothing_outside_of_it(tmp_path, change):
    folder = tmp_path / "theirs"
    folder.mkdir()
    if not change:
        (folder / "head").symlink_to(tmp_path)
    about = ABOUT | change
    (folder / "config.json").write_text(json.dumps(about | {"sha256": sum_of(about)}))
    with pytest.raises(UserError, match=f"{folder}: .* leads out of the folder"):
        load_bundle(folder)


def test_an_exported_student_names_nothing_outside_of_it(tmp_path):
    (tmp_path / "theirs").mkdir()
    about = {"student": 1, "files": {"../secret": "0"}}
    (tmp_path / "theirs/config.json").write_text(json.dumps(about))
    with pytest.raises(UserError, match=r"\.\./secret leads out of the folder"):
        load_exported(tmp_path / "theirs")


@pytest.mark.parametrize("place", ["../secret.bin", "{}/secret.bin", "own.bin"])
def test_a_student_in_onnx_reads_no_further_file(tmp_path, place):
    """Versions of ONNX Runtime that are allowed read any file of this machine as weights."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    for file in (tmp_path / "secret.bin", folder / "own.bin"):
        file.write_bytes(np.full(4, 7, np.float32).tobytes())
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value=place.format(tmp_path))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in ("frames", "logits")]
    node = helper.make_node("Add", ["frames", "w"], ["logits"])
    graph = helper.make_graph([node], "student", ends[:1], ends[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (folder / "student.onnx").write_bytes(model.SerializeToString())
    assert onnx.load(folder / "student.onnx", load_external_data=False).graph.initializer
    about = {
        "student": 1, "classes": ["a"], "settings": StudentSettings().model_dump(mode="json"),
        "frames": FrameSettings().model_dump(mode="json"),
        "files": {"student.onnx": file_sha256(folder / "student.onnx")},
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(about))
    with pytest.raises(UserError, match=r"student\.onnx is no network in one file"):
        load_exported(folder)


# ---- the hub


class LyingHub(Hub):
    """Says of a file that its sum is a place."""

    def _list(self, handler, folder):
        oid = "../../../../../../evil"
        found = [{"type": "file", "path": "config.json", "size": 2, "oid": oid},
                 {"type": "file", "path": "model.safetensors", "size": 2, "oid": "0" * 40}]  # fmt: skip
        handler.plain(200, json.dumps(found).encode(), **{"Content-Type": "application/json"})


def test_a_hub_chooses_no_place_for_its_files(tmp_path, monkeypatch):
    with serve(LyingHub({"someone/small": tmp_path}).answer) as server:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.url)
        with pytest.raises(
            DownloadError, match=r"the hub gives config\.json the sum '.*evil', which is none"
        ):
            files_of(Commit("someone/small", REVISION, ("model.safetensors",)))
