"""Both modes compared on the test split, and what a bundle costs: tables and what they refuse."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from tests.data.videos import write_video
from tests.methods.converters.cached import inputs_of
from tests.methods.fusion.filmed import FRAMES, FUSION, STUDENT, TEACHERS, Filmed
from vidkd.backbones.registry import load_backbone
from vidkd.data.extract import extract_shard
from vidkd.data.frames import FrameStore
from vidkd.errors import UserError
from vidkd.methods.fusion.bundle import load_bundle
from vidkd.methods.fusion.latency import parts
from vidkd.methods.fusion.modes import TOLERANCE, compare_modes, video_logits
from vidkd.methods.inputs import Inputs
from workflow_scripts.measure import main as measure_command
from workflow_scripts.tabulate import main as compare_command


def exported(filmed: Filmed, folder: Path, dtype: str) -> tuple[Path, Path]:
    """A run on caches of this type, and its bundle."""
    run = filmed.fuse_cached(folder / "run", dtype=dtype).parent
    # The converters were trained on float32 features, and convert rounded ones as well.
    filmed.export(run / "model.safetensors", folder / "bundle")
    return run, folder / "bundle"


@pytest.fixture(scope="module")
def of_float32(filmed, tmp_path_factory):
    return exported(filmed, tmp_path_factory.mktemp("float32"), "float32")


def row_of(inputs: Inputs) -> dict[str, str]:
    """The one row, as the table has it."""
    (row,) = compare_modes(inputs, {}).astype(str).to_dict("records")
    return row


def test_with_a_float32_cache_logits_are_the_same_to_the_last_bit(filmed, of_float32):
    run, bundle = of_float32
    row = row_of(filmed.to_compare(bundle, run))
    assert row == {
        "variant": "small", "seed": "0", "clips": "7", "student_dtype": "float32",
        "max_logit_difference": "0.00e+00", "tolerance": "1e-05",
        "same_predictions": "7", "agree": "True",
    }  # fmt: skip


def test_with_a_float16_cache_they_differ_by_its_rounding(filmed, tmp_path):
    run, bundle = exported(filmed, tmp_path, "float16")
    row = row_of(filmed.to_compare(bundle, run, "float16"))
    assert 1e-5 < float(row["max_logit_difference"]) <= TOLERANCE["float16"]
    assert (row["student_dtype"], row["agree"]) == ("float16", "True")


def test_logits_of_videos_are_those_that_were_predicted_to_the_fifth_digit(filmed, of_float32):
    """The run predicted the test split in batches of six."""
    run, bundle = of_float32
    with (run / "predictions.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    store = FrameStore([filmed.frames["test"]])
    logit_NK = video_logits(load_bundle(bundle), store, [row["video_id"] for row in rows]).double()
    for row, logit_K in zip(rows, logit_NK, strict=True):
        predicted_K = torch.tensor([float(row[f"s_{k}"]) for k in range(3)], dtype=torch.float64).log()
        expected_K = predicted_K - predicted_K.mean() + logit_K.mean()  # probabilities leave one number open
        torch.testing.assert_close(logit_K, expected_K, rtol=0, atol=1e-5)


def test_what_differs_is_seen(filmed, of_float32, tmp_path):
    """Frames of other videos under the same ids."""
    run, bundle = of_float32
    for path in filmed.of_the_test_split():
        write_video(tmp_path / f"videos/{path.name}", 40)
    text = (filmed.root / "test.csv").read_text().splitlines()
    rows = [text[0], *(line.rpartition(",")[0] + ",40" for line in text[1:])]
    (tmp_path / "probe.csv").write_text("\n".join(rows) + "\n")
    extract_shard(tmp_path / "probe.csv", "test", tmp_path / "videos", tmp_path / "frames.h5", FRAMES)
    row = row_of(filmed.to_compare(bundle, run, frames=tmp_path / "frames.h5"))
    assert float(row["max_logit_difference"]) > 1e-3
    assert row["agree"] == "False"


def test_two_comparisons_have_the_same_bytes_and_the_command_writes_them(filmed, of_float32, tmp_path):
    run, bundle = of_float32
    options = [
        "vidkd.methods.fusion.modes:compare_modes", "--needs", filmed.to_compare(bundle, run).needs.text(),
    ]  # fmt: skip
    for name in ("one.csv", "two.csv"):
        result = CliRunner().invoke(compare_command, [*options, "--table", str(tmp_path / name)])
        assert result.exit_code == 0, result.output
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    assert (tmp_path / "one.csv.provenance.json").is_file()


def test_heads_with_converters_of_their_own_need_the_student_alone(filmed, tmp_path):
    settings = FUSION.model_copy(update={"finetune_converters": True, "student": False, "sweep": {}})
    student = {STUDENT: filmed.cached(STUDENT)}
    run = filmed.fuse(tmp_path / "run", student, settings, filmed.converters)
    filmed.export(run, tmp_path / "bundle", converters={})
    inputs = filmed.to_compare(tmp_path / "bundle", run.parent, caches=student)
    assert row_of(inputs)["agree"] == "True"


def test_what_does_not_belong_together_is_refused(filmed, of_float32, tmp_path):
    run, bundle = of_float32
    test = filmed.caches()
    other = Path(shutil.copytree(run, tmp_path / "other"))
    content = bytearray((other / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (other / "model.safetensors").write_bytes(content)
    with pytest.raises(UserError, match=r"was exported from another head than .*other"):
        row_of(filmed.to_compare(bundle, other))
    with pytest.raises(
        UserError, match=r"no features of timesformer: give --feature-stores timesformer\.test=FOLDER"
    ):
        row_of(filmed.to_compare(bundle, run, caches={n: test[n] for n in (STUDENT, "videomae")}))
    swapped = test | {"videomae": filmed.cached("videomae")}
    with pytest.raises(
        UserError, match=r"other features of videomae than .*: with .*weights_sha256 \w+, not \w+"
    ):
        row_of(filmed.to_compare(bundle, run, caches=swapped))
    with pytest.raises(UserError, match="the frame stores lack 7 videos, 'test_00' among them"):
        row_of(filmed.to_compare(bundle, run, frames=filmed.frames["val"]))


def test_logits_of_videos_are_in_the_order_that_is_asked_for(filmed, of_float32):
    bundle, store = load_bundle(of_float32[1]), FrameStore([filmed.frames["test"]])
    forward = video_logits(bundle, store, store.video_ids)
    np.testing.assert_array_equal(video_logits(bundle, store, store.video_ids[::-1]).flip(0), forward)


def test_latency_has_every_part_with_its_parameters(filmed, of_float32, tmp_path):
    teachers = [f"--network={name}={filmed.backbones[name].model_dump_json()}" for name in TEACHERS]
    options = ["fusion", f"--file=bundle={of_float32[1]}", *teachers]
    options += ["--rounds", "5"]
    result = CliRunner().invoke(measure_command, [*options, "--output", str(tmp_path / "latency.csv")])
    assert result.exit_code == 0, result.output
    with (tmp_path / "latency.csv").open() as stream:
        rows = {row["variant"]: row for row in csv.DictReader(stream)}
    assert list(rows) == [
        "student", "converters", "head", "bundle", "teacher videomae", "teacher timesformer",
        "all teachers", "student and all teachers",
    ]  # fmt: skip
    params = {part: int(row["params"]) for part, row in rows.items()}
    networks = {n: load_backbone(filmed.backbones[n]) for n in (STUDENT, *TEACHERS)}
    sizes = {name: sum(p.numel() for p in network.parameters()) for name, network in networks.items()}
    assert params["student"] == sizes[STUDENT]
    assert params["all teachers"] == sizes["videomae"] + sizes["timesformer"]
    assert params["student and all teachers"] == sum(sizes.values())
    assert params["bundle"] == params["student"] + params["converters"] + params["head"]
    check_costs(rows, of_float32[1])
    for row in rows.values():
        for threads in (1, 2):
            low, middle, high = (float(row[f"ms_{threads}{end}"]) for end in ("_low", "", "_high"))
            assert 0 < low <= middle <= high
        assert float(row["peak_mb"]) > 0


def check_costs(rows: dict[str, dict[str, str]], bundle: Path) -> None:
    """What adds up, and what files say themselves."""
    gflops = {part: float(row["gflops"]) for part, row in rows.items()}
    sizes = {part: float(row["size_mb"]) for part, row in rows.items()}
    for found in (gflops, sizes):
        assert found["bundle"] == pytest.approx(found["student"] + found["converters"] + found["head"])
        teachers = found["teacher videomae"] + found["teacher timesformer"]
        assert found["all teachers"] == pytest.approx(teachers)
        assert found["student and all teachers"] == pytest.approx(teachers + found["student"])
    weights = sum(path.stat().st_size for path in bundle.rglob("*") if path.suffix == ".safetensors")
    assert sizes["bundle"] == pytest.approx(weights / 1e6)
    assert sizes["head"] == pytest.approx((bundle / "head/model.safetensors").stat().st_size / 1e6)
    assert [rows[part]["frames"] for part in ("converters", "head")] == ["", ""]
    assert rows["bundle"]["frames"] == rows["student"]["frames"]


def test_without_teachers_the_bundle_is_measured_alone(of_float32):
    found = parts(inputs_of({}, results={"bundle": (str(of_float32[1]),)}), {})
    assert [part.name for part in found] == ["student", "converters", "head", "bundle"]
