"""Videos that are images: folders of them and the seed's flat names, through the door of all videos."""

from __future__ import annotations

import os

import numpy as np
import PIL.Image
import pytest

from tests.data.videos import HEIGHT, WIDTH, number_of, numbered
from vidkd.video.decode import TooFewFrames, UnreadableVideo, decode_frames, probe_video
from vidkd.video.images import image_files


def save(path, number=0, image=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(numbered(number) if image is None else image).save(path, **options)
    return path


def reason(path, indices=(0,)):
    """Why a video is refused: the same word from the probe and from decoding, where both see it."""
    with pytest.raises(UnreadableVideo) as caught:
        probe_video(path)
    assert str(path) not in str(caught.value)
    return caught.value.reason


@pytest.fixture
def folder(tmp_path):
    """Twelve images, whose order as text (1, 10, 11, 2) is not that of their numbers."""
    for number in range(12):
        save(tmp_path / f"v/img_{number}.png", number)
    return tmp_path / "v"


def test_frames_come_in_natural_order(folder):
    (folder / "notes.txt").write_text("no image")
    (folder / "._img_3.png").write_text("what macOS leaves")
    frames, seconds = decode_frames(folder, [0, 2, 2, 10, 11])
    assert [number_of(image) for image in frames] == [0, 2, 2, 10, 11]
    assert np.isnan(seconds).all()
    assert len(seconds) == 5
    info = probe_video(folder)
    assert (info.frames, info.height, info.width, info.codec, info.rotation) == (12, HEIGHT, WIDTH, "png", 0)
    assert (info.fps, info.duration) == (0, 0)


def test_flat_names_belong_to_the_video_before_frame(tmp_path):
    """The layout of the first seed: frames/video_001_frame_00.jpg."""
    for number in range(8):
        save(tmp_path / f"video_001_frame_{number:02}.jpg", number, quality=95)
        save(tmp_path / f"video_0011_frame_{number:02}.jpg", 100 + number, quality=95)
    assert [number_of(image) for image in decode_frames(tmp_path / "video_001", [0, 7])[0]] == [0, 7]
    assert [number_of(image) for image in decode_frames(tmp_path / "video_0011", [3])[0]] == [103]
    assert probe_video(tmp_path / "video_001").frames == 8
    assert reason(tmp_path / "video_00") == "missing"
    # A folder is listed again when it has changed.
    os.utime(tmp_path, ns=(1, 1))
    assert probe_video(tmp_path / "video_001").frames == 8
    save(tmp_path / "video_001_frame_08.jpg", 8)
    assert probe_video(tmp_path / "video_001").frames == 9


@pytest.mark.parametrize("suffix", ["png", "bmp", "webp", "PNG"])
def test_lossless_kinds_give_the_same_pixels(tmp_path, suffix):
    image = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
    options = {"lossless": True} if suffix == "webp" else {}
    save(tmp_path / f"v/0.{suffix}", image=image, **options)
    np.testing.assert_array_equal(decode_frames(tmp_path / "v", [0])[0][0], image)


@pytest.mark.parametrize("suffix", ["jpg", "jpeg"])
def test_jpeg_is_as_pillow_reads_it(tmp_path, suffix):
    file = save(tmp_path / f"v/0.{suffix}", 77)
    assert np.array_equal(decode_frames(tmp_path / "v", [0])[0][0], np.asarray(PIL.Image.open(file)))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "CMYK"])
def test_other_kinds_of_pixels_become_rgb(tmp_path, mode):
    file = tmp_path / f"0.{'jpg' if mode == 'CMYK' else 'png'}"
    PIL.Image.fromarray(numbered(170)).convert(mode).save(file)
    (image,) = decode_frames(tmp_path, [0])[0]
    assert (image.shape, image.dtype, number_of(image)) == ((HEIGHT, WIDTH, 3), np.uint8, 170)
    assert image.flags.writeable


def test_sixteen_bits_are_refused_and_not_clipped(tmp_path):
    PIL.Image.fromarray(np.full((20, 20), 40_000, np.uint16)).save(tmp_path / "0.png")
    assert reason(tmp_path) == "no_decoder"


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_animated_images_are_refused_and_not_cut_to_one_frame(tmp_path, suffix):
    frames = [PIL.Image.fromarray(numbered(number)) for number in range(3)]
    frames[0].save(tmp_path / f"0.{suffix}", save_all=True, append_images=frames[1:])
    assert reason(tmp_path) == "no_decoder"


def test_a_camera_orientation_is_applied(tmp_path):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise
    save(tmp_path / "0.png", 5, exif=exif)
    (image,) = decode_frames(tmp_path, [0])[0]
    np.testing.assert_array_equal(image, np.rot90(numbered(5), -1))
    info = probe_video(tmp_path)
    assert (info.width, info.height) == (HEIGHT, WIDTH)


def test_a_transform_sees_each_image_once(folder):
    seen = []

    def shrink(image):
        seen.append(number_of(image))
        return image[::2]

    frames, _ = decode_frames(folder, [1, 1, 4], shrink)
    assert seen == [1, 4]
    assert {image.shape for image in frames} == {(HEIGHT // 2, WIDTH, 3)}


def test_fewer_images_than_asked_for(folder):
    with pytest.raises(TooFewFrames) as caught:
        decode_frames(folder, [3, 12])
    assert (caught.value.decoded, caught.value.reason) == (12, "truncated")


class TestNumbers:
    @pytest.mark.parametrize(
        "names",
        [
            ["00001.jpg", "00002.jpg", "00003.jpg"],
            ["f10.jpg", "f20.jpg", "f30.jpg"],  # every tenth frame was kept
            ["2024-05-01_7.jpg", "2024-05-01_8.jpg"],
            ["a.jpg", "b.jpg", "c.jpg"],
        ],
    )
    def test_equal_steps_are_a_video(self, tmp_path, names):
        for name in names:
            save(tmp_path / name)
        assert [file.name for file in image_files(tmp_path)] == names
        assert probe_video(tmp_path).frames == len(names)

    @pytest.mark.parametrize(
        ("names", "said"),
        [
            (["f1.jpg", "f2.jpg", "f4.jpg"], r"f2\.jpg is followed by f4\.jpg"),
            (["f1.jpg", "f01.png", "f2.jpg"], "is followed by"),
            (["a1.jpg", "a2.jpg", "b1.jpg"], r"a2\.jpg is followed by b1\.jpg"),
            (["cover.jpg", "f1.jpg"], r"cover\.jpg has no number"),
        ],
    )
    def test_anything_else_is_refused(self, tmp_path, names, said):
        for name in names:
            save(tmp_path / name)
        with pytest.raises(UnreadableVideo, match=said) as caught:
            decode_frames(tmp_path, [0])
        assert caught.value.reason == reason(tmp_path) == "numbering"


class TestBroken:
    def test_no_image(self, tmp_path):
        (tmp_path / "read me.txt").write_text("no image")
        assert reason(tmp_path) == "no_frame"
        assert reason(tmp_path / "absent") == "missing"
        assert reason(tmp_path / "absent/too") == "missing"

    @pytest.mark.parametrize("content", [b"", b"not an image"])
    def test_text_and_empty_files(self, folder, content):
        (folder / "img_4.png").write_bytes(content)
        assert reason(folder) == "unreadable"
        with pytest.raises(UnreadableVideo, match=r"img_4\.png is no image"):
            decode_frames(folder, [4])

    @pytest.mark.parametrize("suffix", ["png", "jpg"])
    def test_a_cut_image(self, tmp_path, suffix):
        noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8)
        file = save(tmp_path / f"0.{suffix}", image=noise)
        file.write_bytes(file.read_bytes()[:-600])
        with pytest.raises(UnreadableVideo) as caught:
            decode_frames(tmp_path, [0])
        assert caught.value.reason == "decode_error"

    def test_another_size(self, folder):
        save(folder / "img_4.png", image=numbered(4)[:-2])
        assert reason(folder) == "size_changes"
        with pytest.raises(UnreadableVideo, match=r"img_4\.png has another size"):
            decode_frames(folder, [3, 4])

    def test_more_pixels_than_are_safe(self, tmp_path):
        PIL.Image.new("1", (20_000, 20_000)).save(tmp_path / "0.png")
        assert reason(tmp_path) == "unreadable"


def test_a_pipe_among_the_images_is_refused(folder):
    """Opening it would wait for ever."""
    (folder / "img_0.png").unlink()
    os.mkfifo(folder / "img_0.png")
    assert reason(folder) == "unreadable"
    with pytest.raises(UnreadableVideo, match=r"img_0\.png is no regular file"):
        decode_frames(folder, [0])
