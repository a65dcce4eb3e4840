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
from tests.methods.fusion.filmed import FRAMES, FUSION, STUDENT, TEACHERS, Filmed, opened
from vidkd.backbones.registry import load_backbone
from vidkd.data.extract import extract_shard
from vidkd.data.frames import FrameStore
from vidkd.errors import UserError
from vidkd.methods.fusion.bundle import load_bundle
from vidkd.methods.fusion.export import export_bundle
from vidkd.methods.fusion.latency import measure_bundle
from vidkd.methods.fusion.modes import TOLERANCE, compare_modes, video_logits
from workflow_scripts.compare_modes import main as compare_command
from workflow_scripts.measure_fusion import main as measure_command


def exported(filmed: Filmed, folder: Path, dtype: str) -> tuple[Path, Path]:
    """A run on caches of this type, and its bundle."""
    run = filmed.fuse_cached(folder / "run", dtype=dtype).parent
    # The converters were trained on float32 features, and convert rounded ones as well.
    export_bundle(
        run / "model.safetensors", filmed.converters, filmed.backbones[STUDENT], FRAMES, folder / "bundle"
    )
    return run, folder / "bundle"


@pytest.fixture(scope="module")
def of_float32(filmed, tmp_path_factory):
    return exported(filmed, tmp_path_factory.mktemp("float32"), "float32")


def caches(filmed: Filmed, dtype: str = "float32") -> dict[str, list[Path]]:
    return {name: files["test"] for name, files in filmed.caches(dtype).items()}


def row_of(table: Path) -> dict[str, str]:
    with table.open() as stream:
        (row,) = csv.DictReader(stream)
    return row


def test_with_a_float32_cache_logits_are_the_same_to_the_last_bit(filmed, of_float32, tmp_path):
    run, bundle = of_float32
    compare_modes(bundle, run, caches(filmed), [filmed.frames["test"]], tmp_path / "modes.csv")
    row = row_of(tmp_path / "modes.csv")
    assert row == {
        "variant": "small", "seed": "0", "clips": "7", "student_dtype": "float32",
        "max_logit_difference": "0.00e+00", "tolerance": "1e-05",
        "same_predictions": "7", "agree": "True",
    }  # fmt: skip


def test_with_a_float16_cache_they_differ_by_its_rounding(filmed, tmp_path):
    run, bundle = exported(filmed, tmp_path, "float16")
    test = caches(filmed, "float16")
    compare_modes(bundle, run, test, [filmed.frames["test"]], tmp_path / "modes.csv")
    row = row_of(tmp_path / "modes.csv")
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
    compare_modes(bundle, run, caches(filmed), [tmp_path / "frames.h5"], tmp_path / "modes.csv")
    row = row_of(tmp_path / "modes.csv")
    assert float(row["max_logit_difference"]) > 1e-3
    assert row["agree"] == "False"


def test_two_comparisons_have_the_same_bytes_and_the_command_writes_them(filmed, of_float32, tmp_path):
    run, bundle = of_float32
    options = [
        "--bundle", str(bundle), "--train-run", str(run), "--frames-store", str(filmed.frames["test"]),
        *(f"--test={name}={file}" for name, files in caches(filmed).items() for file in files),
    ]  # fmt: skip
    for name in ("one.csv", "two.csv"):
        result = CliRunner().invoke(compare_command, [*options, "--output", str(tmp_path / name)])
        assert result.exit_code == 0, result.output
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    assert (tmp_path / "one.csv.provenance.json").is_file()


def test_heads_with_converters_of_their_own_need_the_student_alone(filmed, tmp_path):
    settings = FUSION.model_copy(update={"finetune_converters": True, "student": False, "sweep": {}})
    given = opened({STUDENT: filmed.cached(STUDENT)})
    run = filmed.fuse(tmp_path / "run", given, settings, filmed.converters)
    export_bundle(run, {}, filmed.backbones[STUDENT], FRAMES, tmp_path / "bundle")
    test = {STUDENT: filmed.cached(STUDENT)["test"]}
    compare_modes(tmp_path / "bundle", run.parent, test, [filmed.frames["test"]], tmp_path / "modes.csv")
    assert row_of(tmp_path / "modes.csv")["agree"] == "True"


def test_what_does_not_belong_together_is_refused(filmed, of_float32, tmp_path):
    run, bundle = of_float32
    test, frames, output = caches(filmed), [filmed.frames["test"]], tmp_path / "modes.csv"
    other = Path(shutil.copytree(run, tmp_path / "other"))
    content = bytearray((other / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (other / "model.safetensors").write_bytes(content)
    with pytest.raises(UserError, match=r"was exported from another head than .*other"):
        compare_modes(bundle, other, test, frames, output)
    with pytest.raises(UserError, match="no features of timesformer: give --test timesformer=FILE"):
        compare_modes(bundle, run, {name: test[name] for name in (STUDENT, "videomae")}, frames, output)
    swapped = test | {"videomae": filmed.cached("videomae")["test"]}
    with pytest.raises(
        UserError, match=r"other features of videomae than .*: with .*weights_sha256 \w+, not \w+"
    ):
        compare_modes(bundle, run, swapped, frames, output)
    with pytest.raises(UserError, match="the frame stores lack 7 videos, 'test_00' among them"):
        compare_modes(bundle, run, test, [filmed.frames["val"]], output)
    assert not output.exists()


def test_logits_of_videos_are_in_the_order_that_is_asked_for(filmed, of_float32):
    bundle, store = load_bundle(of_float32[1]), FrameStore([filmed.frames["test"]])
    forward = video_logits(bundle, store, store.video_ids)
    np.testing.assert_array_equal(video_logits(bundle, store, store.video_ids[::-1]).flip(0), forward)


def test_latency_has_every_part_with_its_parameters(filmed, of_float32, tmp_path):
    settings = {name: filmed.backbones[name] for name in TEACHERS}
    teachers = "{" + ", ".join(f'"{name}": {of.model_dump_json()}' for name, of in settings.items()) + "}"
    options = ["--bundle", str(of_float32[1]), "--teachers", teachers, "--rounds", "5"]
    result = CliRunner().invoke(measure_command, [*options, "--output", str(tmp_path / "latency.csv")])
    assert result.exit_code == 0, result.output
    with (tmp_path / "latency.csv").open() as stream:
        rows = {row["part"]: row for row in csv.DictReader(stream)}
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
        ratio = float(row["ms_1"]) / float(rows["student"]["ms_1"])
        assert float(row["relative"]) == pytest.approx(ratio, abs=1e-3)


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


def test_latency_without_teachers(of_float32, tmp_path):
    measure_bundle(of_float32[1], {}, tmp_path / "latency.csv", rounds=2)
    lines = (tmp_path / "latency.csv").read_text().splitlines()
    assert [line.partition(",")[0] for line in lines] == ["part", "student", "converters", "head", "bundle"]
