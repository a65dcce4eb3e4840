"""All sources of frames give the same tensors for the same indices; JPEG within its loss."""

from __future__ import annotations

import pickle
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from torch.utils.data import DataLoader

from tests.conftest import CLASSES
from tests.data.test_frames import extract, probed
from tests.data.videos import CLIPS, needs_clips, number_of, write_video
from vidkd.config.clips import ClipSettings
from vidkd.config.data import FrameSettings
from vidkd.data.clips import TrainingClips, collate
from vidkd.data.frames import FrameStore
from vidkd.data.pixels import decode_jpeg, encode_jpeg, shrink_short_side
from vidkd.errors import UserError
from vidkd.video.decode import decode_frames, probe_video

SETTINGS = FrameSettings(per_video=8, short_side=32, encoding="raw")
NONE = SETTINGS.model_copy(update={"encoding": "none"})
LENGTHS = {"h264.mp4": 37, "long/with space.mkv": 60, "short.mp4": 3, "xvid.avi": 24}


def images_of(video: Path, folder: Path) -> None:
    """All frames of a video as PNG images."""
    folder.mkdir(parents=True)
    frames, _ = decode_frames(video, range(probe_video(video).frames))
    for number, frame in enumerate(frames):
        PIL.Image.fromarray(frame).save(folder / f"{number}.png")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for name, frames in LENGTHS.items():
        codec = {"codec": "mpeg4", "bf": "2"} if name == "xvid.avi" else {"bf": "2"}
        write_video(folder / name, frames, **codec)
        images_of(folder / name, folder / "images" / name)
    return folder


def rows(prefix=""):
    return [probed(prefix + name, name, frames) for name, frames in LENGTHS.items()]


@pytest.fixture(scope="module")
def stores(root, tmp_path_factory):
    """The same videos raw, as images, and decoded each time."""
    made = {"raw": (rows(), SETTINGS), "images": (rows("images/"), SETTINGS), "none": (rows(), NONE)}
    made["none of images"] = (rows("images/"), NONE)
    folder = tmp_path_factory.mktemp("stores")
    found = {}
    for name, (listed, settings) in made.items():
        counts, path = extract(folder / name, root, listed, settings)
        assert counts == (4, 0)
        found[name] = FrameStore([path])
    return found


@pytest.mark.parametrize("source", ["images", "none", "none of images"])
def test_sources_agree_bit_for_bit(stores, source):
    raw, other = stores["raw"], stores[source]
    assert other.video_ids == raw.video_ids
    assert other.sizes.tolist() == raw.sizes.tolist() == [[32, 43]] * 4
    for row in range(4):
        for positions in ([*range(8)], [5], [7, 0, 3, 3, 0], np.array([1, 6])):
            frames = other.clip(row, positions)
            assert frames.dtype == np.uint8
            np.testing.assert_array_equal(frames, raw.clip(row, positions))


def test_the_frames_are_those_of_a_whole_decode(stores, root):
    """Not only alike: right. The videos show their frame numbers, the images are the decoder's own pixels."""
    for row, name in enumerate(stores["none"].video_ids):
        total = LENGTHS[name]
        centres = [int((t + 0.5) * total / 8) for t in range(8)]
        shown = [number_of(image) for image in stores["none"].clip(row, range(8))]
        assert shown == centres
        image = np.array(PIL.Image.open(root / "images" / name / f"{centres[4]}.png"))
        np.testing.assert_array_equal(stores["none"].clip(row, [4])[0], shrink_short_side(image, 32))


@pytest.mark.parametrize("source", ["images", "none"])
def test_training_batches_agree_bit_for_bit(stores, source):
    settings = ClipSettings(size=24, flip="plain", rotation=5, hue=0.1, crop="random_resized")

    def batch(store):
        clips = TrainingClips(store, CLASSES, (2, 4, 8), settings, seed=0)
        return collate([clips[(3, row)] for row in range(4)])

    one, other = batch(stores["raw"]), batch(stores[source])
    for count in (2, 4, 8):
        np.testing.assert_array_equal(one.clips[count].numpy(), other.clips[count].numpy())


def test_a_store_without_pixels_is_small_and_says_which_videos(stores, root):
    store = stores["none"]
    store.verify()
    path = store._shards[0].path
    assert path.stat().st_size < 20_000
    again = extract(path.parents[1] / "again", root, rows()[::-1], NONE)[1]
    assert again.read_bytes() == path.read_bytes()


def test_jpeg_is_within_the_loss_that_is_stated(root, tmp_path, stores):
    """1 or 2 of 255 levels on average at quality 95; hard black and white edges are the worst case."""
    lossy = FrameStore([extract(tmp_path, root, rows(), SETTINGS.model_copy(update={"encoding": "jpeg"}))[1]])
    for row in range(4):
        off = np.abs(stores["raw"].clip(row, range(8)).astype(int) - lossy.clip(row, range(8)))
        assert 0 < off.mean() <= 2
    assert lossy.digest != stores["raw"].digest


@needs_clips
@pytest.mark.parametrize("name", ["action/mm_demo.mp4", "action/mm_test.avi", "action/dc_pancake.mkv"])
def test_jpeg_is_within_the_loss_that_is_stated_on_real_frames(name):
    for frame in decode_frames(CLIPS / name, [0, 50, 100])[0]:
        stored = np.frombuffer(encode_jpeg(frame, 95), np.uint8)
        assert np.abs(frame.astype(int) - decode_jpeg(stored)).mean() <= 2
        assert len(stored) < 0.15 * frame.size


@needs_clips
@pytest.mark.parametrize("name", ["action/mm_test.avi", "other/dc_video_90.mov", "other/tc_h264_10bits.mp4"])
def test_real_clips_agree_bit_for_bit(tmp_path, name):
    listed = [probed(name, name, probe_video(CLIPS / name).frames)]
    raw = FrameStore([extract(tmp_path / "raw", CLIPS, listed, SETTINGS)[1]])
    none = FrameStore([extract(tmp_path / "none", CLIPS, listed, NONE)[1]])
    np.testing.assert_array_equal(none.clip(0, [6, 1, 2]), raw.clip(0, [6, 1, 2]))


class TestChangedVideos:
    """Another video than the one that was checked is an error naming it; never zeros, never its frames."""

    @pytest.fixture
    def place(self, root, tmp_path):
        shutil.copytree(root, tmp_path / "videos")
        path = extract(tmp_path / "store", tmp_path / "videos", rows(), NONE)[1]
        return tmp_path / "videos/h264.mp4", FrameStore([path])

    def test_gone(self, place):
        video, store = place
        video.unlink()
        with pytest.raises(
            UserError, match=r"h264\.mp4 could be read when .*shard_0\.h5 was written, and now: "
        ):
            store.clip(0, [3])
        with pytest.raises(UserError, match="missing: there is no such file"):
            store.verify()

    def test_cut(self, place):
        video, store = place
        video.write_bytes(video.read_bytes()[:2000])
        with pytest.raises(UserError, match=r"h264\.mp4 could be read when"):
            store.clip(0, range(8))

    @pytest.mark.parametrize("changes", [{"crf": "40"}, {"frames": 20}])
    def test_another(self, place, changes):
        video, store = place
        write_video(video, **{"frames": 37, "bf": "2", **changes})
        with pytest.raises(UserError, match=r"h264\.mp4 (no longer gives the frames|could be read when)"):
            store.clip(0, range(8))

    def test_of_another_size(self, place):
        video, store = place
        shutil.copytree(video.parent / "images/h264.mp4", video.parent / "small")
        video.unlink()
        video.mkdir()
        for image in (video.parent / "small").iterdir():
            PIL.Image.open(image).resize((24, 40)).save(video / image.name)
        with pytest.raises(UserError, match="no longer gives the frames it gave"):
            store.clip(0, [0])

    def test_the_same_content_is_the_same_video(self, place):
        """A touched or copied file is no other video."""
        video, store = place
        expected = store.clip(0, range(8))
        content = video.read_bytes()
        video.unlink()
        video.write_bytes(content)
        np.testing.assert_array_equal(store.clip(0, range(8)), expected)


def frames_of(store, row):
    return store.clip(row, [1, 6])


@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.parametrize("source", ["raw", "none"])
def test_loader_workers_read_the_same(stores, source, start):
    store = pickle.loads(pickle.dumps(stores[source]))
    expected = [frames_of(stores["raw"], row) for row in range(4)]
    assert len(store.clip(0, [0])) == 1  # a decoder was used here before the workers start
    read = partial(frames_of, store)
    loader = DataLoader(
        range(4), batch_size=None, collate_fn=read, num_workers=2, multiprocessing_context=start
    )
    for got, wanted in zip(loader, expected, strict=True):
        np.testing.assert_array_equal(got, wanted)
