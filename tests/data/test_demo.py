from __future__ import annotations

from collections import Counter

import av
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy.stats import chi2_contingency, chisquare
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from vidkd.config.data import DemoSettings
from vidkd.data.demo import generate_split
from vidkd.data.demo_drawing import render
from vidkd.data.demo_specs import COLOURS, FLIP_LABELS, MOTIONS, SHAPES, TEXTURES, video_spec
from vidkd.errors import UserError
from workflow_scripts.generate_demo import main


def specs(count, split="train", **settings):
    return [video_spec(DemoSettings(**settings), split, index) for index in range(count)]


def of_motion(motion, count, **settings):
    return [spec for spec in specs(count * len(MOTIONS), **settings) if spec.motion == motion]


def colourful(frames):
    """Pixels of the object: the only saturated ones, (..., H, W)."""
    values = frames.astype(int)
    return values.max(-1) - values.min(-1) > 60


def path_seen(frames):
    """Centre of the object's pixels in each frame that shows enough of it, as (x, y) rows."""
    seen = [np.argwhere(mask).mean(0)[::-1] for mask in colourful(frames) if mask.sum() >= 12]
    return np.array(seen)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    settings = DemoSettings(train=14)
    generate_split(settings, "train", folder / "train", folder / "train.csv")
    return folder, settings


def test_a_video_has_the_same_bytes_whichever_others_are_made(written, tmp_path):
    folder, settings = written
    fewer = settings.model_copy(update={"train": 3, "val": 2, "low_label": 0.5})
    generate_split(fewer, "val", tmp_path / "train", tmp_path / "val.csv")
    generate_split(fewer, "train", tmp_path / "train", tmp_path / "train.csv")
    again = sorted((tmp_path / "train").glob("target_train_*.mp4"))
    assert [path.name for path in again] == [f"target_train_0000{index}.mp4" for index in range(3)]
    for path in again:
        assert path.read_bytes() == (folder / "train" / path.name).read_bytes()


def test_the_order_of_the_splits_decides_what_videos_show():
    """Its generators are keyed by it; these values were written down when the demo was made."""
    shown = [specs(1, split)[0] for split in ("train", "val", "test")]
    assert [(spec.motion, spec.shape, spec.texture, spec.colour) for spec in shown] == [
        ("orbit_cw", "ring", "checker", "green"),
        ("move_down", "ring", "dots", "green"),
        ("orbit_ccw", "triangle", "stripes", "cyan"),
    ]


def test_seed_split_index_and_domain_each_change_the_video():
    one = video_spec(DemoSettings(), "train", 5)
    others = [
        video_spec(DemoSettings(seed=1), "train", 5),
        video_spec(DemoSettings(), "val", 5),
        video_spec(DemoSettings(), "train", 17),
        video_spec(DemoSettings(domain="source"), "train", 5),
    ]
    for other in others:
        assert np.abs(render(one).astype(int) - render(other).astype(int)).mean() > 3


def test_files_decode_to_what_was_drawn(written):
    folder, settings = written
    table = pd.read_csv(folder / "train.csv")
    assert list(table.columns) == ["path", "motion", "shape", "texture", "colour", "labelled"]
    for index, row in table.iterrows():
        with av.open(str(folder / row.path)) as container:
            stream = container.streams.video[0]
            decoded = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(stream)])
            assert (stream.codec_context.name, stream.average_rate) == ("h264", settings.fps)
        assert decoded.shape == (64, 56, 56, 3)
        spec = video_spec(settings, "train", index)
        assert (row.motion, row["shape"], row.colour) == (spec.motion, spec.shape, spec.colour)
        assert np.abs(decoded.astype(int) - render(spec)).mean() < 10


def test_attributes_are_balanced_and_independent_of_motion():
    table = pd.DataFrame([(s.motion, s.shape, s.texture, s.colour) for s in specs(1920)])
    assert set(Counter(table[0]).values()) == {160}
    for column, names in ((1, SHAPES), (2, TEXTURES), (3, tuple(COLOURS))):
        assert set(table[column]) == set(names)
        assert chisquare(table[column].value_counts()).pvalue > 0.001
        assert chi2_contingency(pd.crosstab(table[0], table[column])).pvalue > 0.001


@pytest.mark.parametrize(("share", "each"), [(0.1, 16), (0.05, 8), (0.7, 112), (1.0, 160)])
def test_the_labelled_share_is_exact_in_every_class(share, each):
    counts = Counter(spec.motion for spec in specs(1920, low_label=share) if spec.labelled)
    assert counts == dict.fromkeys(MOTIONS, each)
    assert all(spec.labelled for spec in specs(60, "test", low_label=share))


def test_domains_differ_in_their_background():
    def detail(domain):
        first = (
            np.stack([render(spec)[:24].mean(0) for spec in specs(48, domain=domain)]).astype(float).mean(-1)
        )
        return np.abs(np.diff(first, axis=1)).mean()

    assert detail("source") > 1.1 * detail("target")


def test_tracks_do_what_their_class_says():
    for spec in specs(600) + specs(600, domain="source"):
        x, y, visible = spec.x, spec.y, spec.visible
        half = len(x) // 2
        side = (x[0] + x[-1]) / 2 - x[half]
        turning = np.unwrap(np.arctan2(y - y.mean(), x - x.mean()))[[0, -1]]
        growth = spec.radius[-1] / spec.radius[0]
        holds = {
            "move_left": x[-1] - x[0] < -20,
            "move_right": x[-1] - x[0] > 20,
            "move_up": y[-1] - y[0] < -20,
            "move_down": y[-1] - y[0] > 20,
            "orbit_cw": turning[1] - turning[0] > 4,
            "orbit_ccw": turning[1] - turning[0] < -4,
            "approach": growth > 1.7,
            "recede": growth < 1 / 1.7,
            "left_then_right": side > 12,
            "right_then_left": side < -12,
            "appear": visible[0] == 0 and visible[-1] == 1,
            "disappear": visible[0] == 1 and visible[-1] == 0,
        }
        assert holds[spec.motion], spec.video_id
        if spec.motion not in ("appear", "disappear"):
            assert visible[0] == visible[-1] == 1
            assert (visible < 0.5).mean() < 0.25


def test_move_left_backwards_and_mirrored_look_like_move_right():
    for spec in of_motion("move_left", 6):
        frames = render(spec)
        assert path_seen(frames)[-1, 0] < path_seen(frames)[0, 0] - 15
        assert path_seen(frames[::-1])[-1, 0] > path_seen(frames[::-1])[0, 0] + 15
        assert path_seen(frames[:, :, ::-1])[-1, 0] > path_seen(frames[:, :, ::-1])[0, 0] + 15
    assert FLIP_LABELS["move_left"] == "move_right"


def test_mirroring_swaps_the_two_orbits():
    def turning(frames):
        x, y = (path_seen(frames) - path_seen(frames).mean(0)).T
        return np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])

    for spec in of_motion("orbit_cw", 4):
        assert turning(render(spec)) > 0 > turning(render(spec)[:, :, ::-1])
    assert FLIP_LABELS["orbit_cw"] == "orbit_ccw"
    assert all(FLIP_LABELS[FLIP_LABELS[motion]] == motion for motion in MOTIONS)
    assert sorted(FLIP_LABELS) == sorted(MOTIONS)
    assert sum(motion != flipped for motion, flipped in FLIP_LABELS.items()) == 6


def single_frames(count, split, domain):
    """Of four random frames of each video: small images, measures of the object, and the labels."""
    rng = np.random.default_rng(0)
    images, measures, motion, colour = [], [], [], []
    for spec in specs(count, split, domain=domain):
        for image in render(spec)[rng.integers(64, size=4)]:
            mask = colourful(image)
            y, x = np.nonzero(mask) if mask.any() else (np.zeros(1), np.zeros(1))
            mean = image[mask].mean(0) if mask.any() else np.zeros(3)
            measures.append([mask.sum(), x.mean(), y.mean(), x.std(), y.std(), *mean])
            images.append(image.reshape(14, 4, 14, 4, 3).mean((1, 3)).ravel())
            motion.append(spec.motion)
            colour.append(spec.colour)
    return np.array(images), np.array(measures), np.array(motion), np.array(colour)


@pytest.mark.parametrize("domain", ["target", "source"])
def test_one_frame_shows_the_colour_but_not_the_motion(domain):
    train, test = single_frames(360, "train", domain), single_frames(180, "test", domain)
    pca = make_pipeline(StandardScaler(), PCA(30, random_state=0)).fit(train[0])
    seen = [np.hstack([pca.transform(part[0]), part[1]]) for part in (train, test)]
    accuracy = {}
    for name, column in (("motion", 2), ("colour", 3)):
        forest = RandomForestClassifier(100, min_samples_leaf=3, random_state=0).fit(seen[0], train[column])
        accuracy[name] = forest.score(seen[1], test[column])
    # Chance is 1/12. What is left is that the object is absent more often in appear and disappear.
    assert accuracy["motion"] < 0.16
    assert accuracy["colour"] > 0.75


def test_leftovers_are_swept_and_other_files_kept(tmp_path):
    folder = tmp_path / "val"
    folder.mkdir()
    for name in (".target_val_00000.mp4.17.tmp", "target_val_00009.mp4", "holiday.mp4"):
        (folder / name).write_bytes(b"old")
    generate_split(DemoSettings(val=1), "val", folder, tmp_path / "val.csv")
    assert sorted(path.name for path in folder.iterdir()) == ["holiday.mp4", "target_val_00000.mp4"]


def test_no_table_is_left_when_a_video_cannot_be_written(tmp_path):
    (tmp_path / "val" / "target_val_00000.mp4").mkdir(parents=True)
    with pytest.raises(UserError, match="cannot write"):
        generate_split(DemoSettings(val=1), "val", tmp_path / "val", tmp_path / "val.csv")
    assert not (tmp_path / "val.csv").exists()


def test_an_unknown_split_is_named(tmp_path):
    with pytest.raises(UserError, match="no split 'dev'"):
        generate_split(DemoSettings(), "dev", tmp_path, tmp_path / "dev.csv")


def test_the_script_writes_videos_table_and_sidecar(tmp_path):
    folder, table = tmp_path / "test", tmp_path / "test.csv"
    arguments = ["--settings", '{"test": 2}', "--split", "test", "--folder", folder, "--annotation", table]
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    assert pd.read_csv(table).path.tolist() == ["test/target_test_00000.mp4", "test/target_test_00001.mp4"]
    assert (tmp_path / "test.csv.provenance.json").is_file()
