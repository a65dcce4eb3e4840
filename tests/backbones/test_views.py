"""Several views and crops of a video: each is what the library makes of pixels cut out by hand."""

from __future__ import annotations

import logging

import h5py
import numpy as np
import pytest
import torch

from tests.backbones.checkpoints import SIZE, settings_of
from tests.backbones.directly import timm_frames, tokens
from tests.conftest import FRAMES
from vidkd.backbones.extract import cache_shard
from vidkd.backbones.network import Network
from vidkd.backbones.registry import load_backbone
from vidkd.data.frame_writer import StoredClip, frame_writer
from vidkd.data.frames import FrameStore
from vidkd.engine.logging import Waiting
from vidkd.errors import UserError
from vidkd.features.store import FeatureStore

SHAPES = {"high": (56, 32), "square": (32, 32), "wide": (32, 57)}
CORNERS = {
    "high": [(0, 0), (12, 0), (24, 0)],
    "square": [(0, 0)] * 3,
    "wide": [(0, 0), (0, 12), (0, 25)],
}
"""Top and left of the three squares of 32 pixels."""


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """Noise of three shapes, 16 frames each."""
    path, random = tmp_path_factory.mktemp("views") / "frames.h5", np.random.default_rng(0)
    with frame_writer(path, FRAMES, "noise") as writer:
        for name, (height, width) in SHAPES.items():
            images = random.integers(0, 256, (16, height, width, 3), np.uint8)
            clip = StoredClip(
                name, 0, 3 * np.arange(16, dtype=np.int32), np.arange(16.0), False, (height, width)
            )
            writer.add(clip, [image.tobytes() for image in images])
    return path


def stored(frames, row, name):
    height, width = SHAPES[name]
    with h5py.File(frames) as file:
        start, *_, end = file["offset"][row]
        return file["data"][start:end].reshape(16, height, width, 3)


def cut(frames, row, name, positions) -> torch.Tensor:
    """(crops, T, 3, SIZE, SIZE)."""
    kept = stored(frames, row, name)[positions]
    cuts = [kept[:, top : top + SIZE, left : left + SIZE] for top, left in CORNERS[name]]
    return torch.from_numpy(np.stack(cuts)).permute(0, 1, 4, 2, 3)


def cached(frames, output, settings, **how):
    cache_shard(frames, "small", settings, output, **how)
    store = FeatureStore([output])
    store.verify()
    return store


def test_video_network(frames, made, tmp_path):
    folder = made("videomae").folder
    store = cached(frames, tmp_path / "x.h5", settings_of("videomae", folder, views=2, crops=3))
    assert store.shape == (2 * 3 * 4, 64)
    assert store.meta.preprocessing["sampling"] == "centres of equal parts of segments"
    found = store.by_view(store.rows(range(3)))
    assert found.shape == (3, 2, 3, 4, 64)
    for row, name in enumerate(SHAPES):
        for view, positions in enumerate([range(0, 16, 2), range(1, 16, 2)]):
            clip = cut(frames, row, name, list(positions))
            wanted = tokens(folder, "VideoMAEModel", "VideoMAEImageProcessor", clip)
            wanted = wanted.reshape(3, 4, 16, 64).mean(2)
            torch.testing.assert_close(found[row, view], wanted, rtol=0, atol=1e-5)
    with h5py.File(tmp_path / "x.h5") as file:
        assert file["index"][0].tolist() == [*range(0, 48, 6), *range(3, 48, 6)]


@pytest.mark.parametrize(
    ("views", "positions"), [(1, [[2, 6, 10, 14]]), (2, [[1, 5, 9, 13], [3, 7, 11, 15]])]
)
def test_image_network(views, positions, frames, made, tmp_path):
    folder = made("timm").folder
    settings = settings_of("timm", folder, frames=4, views=views, crops=3, tokens="clip")
    store = cached(frames, tmp_path / "x.h5", settings)
    found = store.by_view(store.rows(range(3)))
    assert found.shape == (3, views, 3, 1, 320)
    for row, name in enumerate(SHAPES):
        for view, chosen in enumerate(positions):
            wanted = timm_frames(folder, cut(frames, row, name, chosen)).reshape(3, 4, 320).mean(1)
            torch.testing.assert_close(found[row, view, :, 0], wanted, rtol=1e-5, atol=1e-5)


def test_all_tokens_of_a_view_stay_together(frames, made, tmp_path):
    settings = settings_of("videomae", made("videomae").folder, views=2, tokens="full")
    full = cached(frames, tmp_path / "full.h5", settings)
    time = cached(frames, tmp_path / "time.h5", settings.model_copy(update={"tokens": "time"}))
    found = full.by_view(full.rows([0])).unflatten(3, (4, 16))
    assert found.shape == (1, 2, 1, 4, 16, 64)
    torch.testing.assert_close(found.mean(4), time.by_view(time.rows([0])), rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["clip", "vjepa2"])
def test_a_view_is_a_cache_of_its_own(kind, frames, made, tmp_path):
    """The middle crop of the only view is the row without views, to the last bit."""
    settings = settings_of(kind, made(kind).folder)
    one = cached(frames, tmp_path / "one.h5", settings)
    three = cached(frames, tmp_path / "three.h5", settings.model_copy(update={"crops": 3}))
    assert torch.equal(three.by_view(three.rows(range(3)))[:, 0, 1], one.rows(range(3)))
    assert one.by_view(one.rows(range(3))).shape[1:3] == (1, 1)
    assert not {"views", "crops"} & set(one.meta.preprocessing)
    assert three.meta.preprocessing["crops"] == 3
    assert three.meta.preprocessing["view"] == "start, centre and end of the long side"
    assert (one.meta.preprocessing["sampling"], one.meta.preprocessing["view"]) == (
        "segment centres",
        "centre",
    )
    assert three.meta.differences(one.meta) == ["preprocessing"]


def test_a_row_never_depends_on_batches_or_workers(frames, made, tmp_path):
    settings = settings_of("timm", made("timm").folder, frames=4, views=2, crops=3)
    cached(frames, tmp_path / "first.h5", settings, batch=1)
    for how in ({"batch": 4}, {"batch": 15}, {"batch": 12, "workers": 2}):
        cached(frames, tmp_path / "x.h5", settings, **how)
        assert (tmp_path / "x.h5").read_bytes() == (tmp_path / "first.h5").read_bytes(), how


def test_views_that_the_stored_frames_cannot_serve(frames, made, tmp_path):
    settings = settings_of("videomae", made("videomae").folder, views=3)
    with pytest.raises(UserError, match=r"^3 views of 8 frames are asked of videos stored with 16: raise"):
        cached(frames, tmp_path / "x.h5", settings)
    assert not list(tmp_path.iterdir())


def test_crops_that_are_the_same_are_told(frames, made, tmp_path, caplog):
    settings = settings_of("timm", made("timm").folder, frames=4, crops=3)
    with caplog.at_level(logging.WARNING):
        store = cached(frames, tmp_path / "x.h5", settings)
    assert "1 of 3 videos are square: their 3 crops are the same" in caplog.text
    same = store.by_view(store.rows([1]))[0, 0]
    assert torch.equal(same[0], same[2])


@pytest.mark.parametrize("batch", [1, 2, 5, 8, 32])
@pytest.mark.parametrize(("views", "crops"), [(1, 1), (2, 1), (1, 3), (2, 3), (5, 3)])
def test_on_a_gpu_the_clips_that_are_read_together_are_cut_into_equal_batches(batch, views, crops):
    settings = settings_of("timm", "w", views=views, crops=crops)
    network = Network(torch.nn.Identity(), settings, torch.device("meta"), batch)
    clips = network.videos * views * crops
    assert network.at_once <= batch
    assert clips <= max(batch, views * crops)
    assert -clips % network.at_once < -(-clips // network.at_once), "a copy or less in each batch fills it up"


def test_on_a_gpu_every_view_is_what_it_is_alone(frames, made):
    """The same code on a CPU, told to see four clips at once: of the six of a video, four and two."""
    settings = settings_of("timm", made("timm").folder, frames=4, views=2, crops=3)

    class AtOnce(Network):
        at_once = 4

    seen = []
    network = AtOnce(load_backbone(settings), settings, torch.device("cpu"), 6)
    network.backbone.register_forward_pre_hook(lambda _module, given: seen.append(len(given[0])))
    rows = list(network.rows(FrameStore([frames]), range(3), 0, Waiting()))
    assert (len(rows), seen) == (3, [4] * 6)
    alone = Network(network.backbone, settings, torch.device("cpu"), 6)
    wanted = np.stack(list(alone.rows(FrameStore([frames]), range(3), 0, Waiting())))
    torch.testing.assert_close(np.stack(rows), wanted, rtol=1e-4, atol=1e-5)
