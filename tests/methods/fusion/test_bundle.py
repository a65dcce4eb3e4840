"""An exported bundle: it predicts videos wherever it is, as the pipeline would, or says what is not whole."""

from __future__ import annotations

import csv
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from tests.backbones.checkpoints import MAKERS, clips, settings_of
from tests.data.videos import write_audio, write_video
from tests.methods.fusion.filmed import CLASSES, COUNTS, FRAMES, FUSION, STUDENT, TEACHERS, film
from vidkd.backbones.registry import load_backbone
from vidkd.errors import UserError
from vidkd.methods.fusion.bundle import backbone_settings, load_bundle
from vidkd.methods.fusion.export import moved, student_files
from vidkd.methods.fusion.settings import FusionSettings
from vidkd.methods.videos import predict_videos
from workflow_scripts.export import main as export_command
from workflow_scripts.predict_videos import main as predict_command


@pytest.fixture(scope="module")
def weights(filmed, tmp_path_factory) -> Path:
    """A head that was trained on caches."""
    return filmed.fuse_cached(tmp_path_factory.mktemp("head"))


@pytest.fixture(scope="module")
def bundle(filmed, weights, tmp_path_factory) -> Path:
    """Its bundle, not to be changed."""
    folder = tmp_path_factory.mktemp("export") / "bundle"
    filmed.export(weights, folder)
    return folder


def scores(run_dir: Path) -> np.ndarray:
    """Probabilities that the head gave to cached features."""
    with (run_dir / "predictions.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["video_id"] for row in rows] == [f"test_{k:02}" for k in range(COUNTS["test"])]
    return np.array([[float(row[f"s_{k}"]) for k in range(len(CLASSES))] for row in rows])


def changed(bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle, tmp_path / "changed"))


def predicted(folder: Path, videos: list[Path], batch: int = 8) -> list[dict[str, str]]:
    return [prediction.row() for prediction in predict_videos(load_bundle(folder, batch), videos)]


def test_moved_away_and_without_the_rest_it_predicts_videos_as_the_caches_do(filmed, weights, tmp_path):
    """Everything that it was made from is gone; the videos are read as files."""
    made = film(tmp_path / "made")
    run = made.fuse_cached(tmp_path / "run")
    expected = scores(run.parent)
    made.export(run, tmp_path / "bundle")
    videos = Path(shutil.move(made.root / "videos", tmp_path / "videos"))
    shutil.rmtree(made.root)
    shutil.rmtree(run.parent)
    folder = Path(shutil.move(tmp_path / "bundle", tmp_path / "elsewhere"))
    result = CliRunner().invoke(
        predict_command,
        [
            "--bundle",
            str(folder),
            "--output",
            str(tmp_path / "out.csv"),
            *map(str, sorted(videos.glob("test_*"))),
        ],
    )
    assert result.exit_code == 0, result.output
    with (tmp_path / "out.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [Path(row["path"]).stem for row in rows] == [f"test_{k:02}" for k in range(COUNTS["test"])]
    assert [CLASSES.index(row["class"]) for row in rows] == expected.argmax(1).tolist()
    np.testing.assert_allclose([float(row["probability"]) for row in rows], expected.max(1), atol=1e-5)
    # The middles of 8 of 12 segments' middles, of 13 frames.
    kept = [(2 * k + 1) * 13 // 24 for k in range(12)]
    assert rows[0]["frames"] == " ".join(str(kept[(2 * k + 1) * 12 // 16]) for k in range(8))


def test_a_prediction_does_not_depend_on_the_videos_beside_it(filmed, bundle):
    videos = filmed.of_the_test_split()
    together = predicted(bundle, videos)
    assert [predicted(bundle, [video], 1)[0] for video in videos] == together
    assert predicted(bundle, videos[::-1], 3)[::-1] == together


def test_two_exports_have_the_same_bytes(filmed, weights, bundle, tmp_path):
    filmed.export(weights, tmp_path / "again")
    files = {path.relative_to(bundle): path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
    again = tmp_path / "again"
    assert {
        path.relative_to(again): path.read_bytes() for path in again.rglob("*") if path.is_file()
    } == files
    assert not any(str(filmed.root).encode() in content for content in files.values())
    assert {str(path.parent) for path in files} == {
        ".", "student", "head", "converters/videomae", "converters/timesformer",
    }  # fmt: skip


def test_a_student_of_one_file_is_copied_too(filmed, weights, tmp_path):
    own = filmed.backbones[STUDENT]
    file = next(Path(own.folder).glob("*.safetensors"))
    backbone = load_backbone(own)
    named = settings_of(STUDENT, Path()).model_copy(
        update={"folder": None, "file": str(file), "sha256": backbone.weights_sha256}
    )
    filmed.export(weights, tmp_path / "bundle", student=named)
    assert len(predicted(tmp_path / "bundle", filmed.of_the_test_split())) == COUNTS["test"]


def test_weights_in_several_files_are_copied_with_their_index(filmed, tmp_path):
    """The names and sums of the parts are another digest than that of one file: the head is trained anew."""
    split = Path(shutil.copytree(filmed.backbones[STUDENT].folder, tmp_path / "split"))
    whole = load_file(split / "model.safetensors")
    (split / "model.safetensors").unlink()
    parts = {name: f"model-0000{1 + k % 2}-of-00002.safetensors" for k, name in enumerate(sorted(whole))}
    for part in set(parts.values()):
        save_file(
            {name: whole[name] for name in whole if parts[name] == part}, split / part, {"format": "pt"}
        )
    (split / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": parts}))
    made = replace(
        filmed, root=tmp_path / "root", backbones=filmed.backbones | {STUDENT: settings_of(STUDENT, split)}
    )
    (made.root / "data").mkdir(parents=True)
    shutil.copy(filmed.classes, made.classes)
    settings = FUSION.model_copy(update={"teachers": (), "sweep": {}})
    run = made.fuse(tmp_path / "run", {STUDENT: made.cached(STUDENT)}, settings)
    made.export(run, tmp_path / "bundle", converters={})
    shutil.rmtree(split)
    rows = predicted(tmp_path / "bundle", filmed.of_the_test_split())
    np.testing.assert_allclose([float(r["probability"]) for r in rows], scores(run.parent).max(1), atol=1e-5)


@pytest.mark.parametrize("kind", MAKERS)
def test_a_student_of_every_kind_is_the_same_from_the_bundle(kind, tmp_path):
    folder = tmp_path / "hub"
    MAKERS[kind](folder)
    (folder / "README.md").write_text("not needed")
    settings = settings_of(kind, folder, tokens="clip")
    before = load_backbone(settings)
    (tmp_path / "bundle/student").mkdir(parents=True)
    files = student_files(before)
    for path in files:
        shutil.copy(path, tmp_path / "bundle/student" / path.name)
    shutil.rmtree(folder)
    config = {"backbone": json.loads(json.dumps(moved(settings, files[0])))}
    after = load_backbone(backbone_settings(tmp_path / "bundle", config))
    assert (after.spec, after.weights_sha256) == (before.spec, before.weights_sha256)
    assert after.origin.config_sha256 == before.origin.config_sha256
    clip = clips(1, before.spec.frames)
    assert torch.equal(after(clip), before(clip))


@pytest.mark.parametrize(
    "changes",
    [
        {"teachers": ()},
        {"student": False},
        {"finetune_converters": True},
        {"finetune_converters": True, "student": False},
        {"fusion": "concat", "pooling": "mean", "teachers": ("timesformer",)},
    ],
)
def test_heads_of_every_kind(changes, filmed, tmp_path):
    settings = FusionSettings.model_validate(FUSION.model_dump() | {"sweep": {}} | changes)
    converters = {name: filmed.converters[name] for name in settings.teachers or ()}
    given = {STUDENT: filmed.cached(STUDENT)}
    run = filmed.fuse(tmp_path / "run", given, settings, converters)
    filmed.export(run, tmp_path / "bundle")
    expected = scores(run.parent)
    rows = predicted(tmp_path / "bundle", filmed.of_the_test_split())
    assert [CLASSES.index(row["class"]) for row in rows] == expected.argmax(1).tolist()
    np.testing.assert_allclose([float(row["probability"]) for row in rows], expected.max(1), atol=1e-5)


def test_videos_that_cannot_be_used_are_rows_with_their_reason(filmed, bundle, tmp_path):
    folder = tmp_path / "videos"
    good = write_video(folder / "b.mp4", 20)
    cut = folder / "deep/c.mp4"
    cut.parent.mkdir()
    cut.write_bytes(good.read_bytes()[:-700])
    write_audio(folder / "a.mp4")
    (folder / "notes.txt").write_text("no video")
    result = CliRunner().invoke(
        predict_command,
        ["--bundle", str(bundle), str(folder), str(tmp_path / "absent.mp4")],
        catch_exceptions=False,
    )
    assert result.exit_code == 1
    rows = {Path(row["path"]).name: row for row in csv.DictReader(result.stdout.splitlines())}
    assert {name: (row["status"], row["reason"]) for name, row in rows.items()} == {
        "a.mp4": ("excluded", "no_video"),
        "b.mp4": ("ok", ""),
        "c.mp4": ("excluded", "truncated"),
        "absent.mp4": ("excluded", "missing"),
    }
    assert rows["c.mp4"]["class"] == rows["c.mp4"]["probability"] == rows["c.mp4"]["frames"] == ""
    assert rows["c.mp4"]["detail"]
    assert rows["b.mp4"]["class"] == predicted(bundle, [good])[0]["class"]


def test_a_name_that_is_no_text_ends_no_table(filmed, bundle, tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    shutil.copyfile(filmed.of_the_test_split()[0], os.fsencode(folder) + b"/caf\xe9.mp4")
    arguments = ["--bundle", str(bundle), "--output", str(tmp_path / "out.csv"), str(folder)]
    result = CliRunner().invoke(predict_command, arguments)
    assert result.exit_code == 0, result.output
    with (tmp_path / "out.csv").open(encoding="utf-8") as stream:
        (row,) = csv.DictReader(stream)
    assert row["path"] == f"{folder}/caf\\xe9.mp4"
    assert row["status"] == "ok"


def test_a_short_video_repeats_frames_and_says_which(bundle, tmp_path):
    (row,) = predicted(bundle, [write_video(tmp_path / "short.mp4", 3)])
    assert (row["status"], row["frames"]) == ("ok", "0 1 2")


def test_a_head_of_real_features_is_not_exported(filmed, tmp_path):
    settings = FUSION.model_copy(update={"features": "real", "sweep": {}, "teachers": ("videomae",)})
    given = {name: filmed.cached(name) for name in (STUDENT, "videomae")}
    run = filmed.fuse(tmp_path / "run", given, settings)
    with pytest.raises(UserError, match="needs the features of videomae itself"):
        filmed.export(run, tmp_path / "bundle", converters={})


def test_parts_that_were_not_made_for_each_other_are_refused(filmed, weights, tmp_path):
    student, output = filmed.backbones[STUDENT], tmp_path / "bundle"
    with pytest.raises(UserError, match="features of timesformer as inputs: give their converters"):
        filmed.export(weights, output, converters={"videomae": filmed.converters["videomae"]})
    swapped = dict(zip(TEACHERS, [filmed.converters[name] for name in TEACHERS[::-1]], strict=True))
    with pytest.raises(
        UserError, match=r"is not the converter to videomae that .* was trained with: its sha256"
    ):
        filmed.export(weights, output, converters=swapped)
    with pytest.raises(UserError, match="other features of vjepa2: tokens time, not clip"):
        filmed.export(weights, output, student=student.model_copy(update={"tokens": "clip"}))
    with pytest.raises(UserError, match=r"frames_digest .* settings of the backbone and of the frames"):
        filmed.export(weights, output, FRAMES.model_copy(update={"short_side": 36}))
    other = Path(shutil.copytree(student.folder, tmp_path / "other"))
    file = other / "model.safetensors"
    save_file({name: value + 1e-3 for name, value in load_file(file).items()}, file, {"format": "pt"})
    with pytest.raises(UserError, match="other features of vjepa2: weights_sha256"):
        filmed.export(weights, output, student=settings_of(STUDENT, other))
    assert not output.exists()


@pytest.mark.parametrize("finetune", [False, True])
def test_a_student_that_is_only_converted_is_the_one_of_the_training(finetune, filmed, tmp_path):
    changes = {"student": False, "finetune_converters": finetune, "epochs": 1, "sweep": {}}
    settings = FusionSettings.model_validate(FUSION.model_dump() | changes)
    own, converters = filmed.backbones[STUDENT], filmed.converters
    given = {STUDENT: filmed.cached(STUDENT, "float16")}
    weights = filmed.fuse(tmp_path / "run", given, settings, converters)
    filmed.export(weights, tmp_path / "bundle")
    other_frames = FRAMES.model_copy(update={"per_video": 9})
    with pytest.raises(UserError, match=r"converted from other features of vjepa2 .* frames \w+ now"):
        filmed.export(weights, tmp_path / "frames", other_frames)
    folder = Path(shutil.copytree(own.folder, tmp_path / "student"))
    state = load_file(folder / "model.safetensors")
    moved_a_little = {name: value + 0.01 for name, value in state.items()}
    save_file(moved_a_little, folder / "model.safetensors", metadata={"format": "pt"})
    other = own.model_copy(update={"folder": str(folder)})
    with pytest.raises(UserError, match=r"converted from other features of vjepa2 than these settings"):
        filmed.export(weights, tmp_path / "other", student=other)


def test_a_folder_of_something_else_is_left_alone(filmed, weights, bundle, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home/letter").write_text("dear")
    with pytest.raises(UserError, match="is there and is no bundle"):
        filmed.export(weights, tmp_path / "home")
    assert (tmp_path / "home/letter").read_text() == "dear"
    old = changed(bundle, tmp_path)
    (old / "student/left").write_text("over")
    filmed.export(weights, old)
    assert not (old / "student/left").exists()


def test_what_is_missing_damaged_or_of_another_version_is_said(bundle, tmp_path):
    with pytest.raises(UserError, match=r"is no bundle: .*config\.json is missing"):
        load_bundle(tmp_path)
    folder = changed(bundle, tmp_path)
    config = folder / "config.json"
    text = config.read_text()
    config.write_text(text.replace('"bundle": 1', '"bundle": 2'))
    with pytest.raises(UserError, match="of version 2, and this program reads version 1"):
        load_bundle(folder)
    config.write_text(text.replace('"ant"', '"ape"'))
    with pytest.raises(UserError, match=r"config\.json is damaged or was changed by hand"):
        load_bundle(folder)
    config.write_text(text[:-20])
    with pytest.raises(UserError, match="is no bundle"):
        load_bundle(folder)
    config.write_text(text)
    (folder / "head/model.safetensors").rename(folder / "x")
    with pytest.raises(UserError, match=r"lacks head/model\.safetensors"):
        load_bundle(folder)
    (folder / "x").rename(folder / "head/model.safetensors")
    for name in ("converters/videomae/model.safetensors", "student/config.json"):
        before = (folder / name).read_bytes()
        (folder / name).write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
        with pytest.raises(UserError, match=f"{name} is damaged or was replaced"):
            load_bundle(folder)
        (folder / name).write_bytes(before)
    load_bundle(folder)


def test_the_command_writes_the_same_bundle_and_its_provenance(filmed, weights, bundle, tmp_path):
    options = [
        "fusion", "--settings", FRAMES.model_dump_json(), "--output", str(tmp_path / "out"),
        f"--network=student={filmed.backbones[STUDENT].model_dump_json()}", f"--trained=head={weights}",
        *(f"--trained={name}={file}" for name, file in filmed.converters.items()),
    ]  # fmt: skip
    result = CliRunner().invoke(export_command, options)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out/config.json").read_bytes() == (bundle / "config.json").read_bytes()
    record = json.loads((tmp_path / "out/config.json.provenance.json").read_text())
    assert str(weights) in record["inputs"]
    wrong = CliRunner().invoke(export_command, [*options, "--trained", "videomae"])
    assert (wrong.exit_code, "--trained: found 'videomae'; allowed: NAME=FILE" in wrong.output) == (2, True)
    student = next(option for option in options if option.startswith("--network"))
    wrong = CliRunner().invoke(export_command, [option for option in options if option != student])
    assert (wrong.exit_code, "the student is needed: give --network student=" in wrong.output) == (2, True)
