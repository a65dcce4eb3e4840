"""Two results folders of real files, and what is said of them, by hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from vidkd.errors import UserError
from vidkd.evaluate.statistics import holm, sign_flip_p
from vidkd.paths import sidecar
from vidkd.provenance import write_sidecar
from vidkd.report.compare import compare
from vidkd.report.compare_folders import in_words, patterns, seed_folder
from vidkd.report.compare_numbers import LEFT_OUT
from workflow_scripts import compare_results

OUTSIDE = Path(__file__)
CLIPS = 200
LABEL = np.arange(CLIPS) % 4
RUNS = [f"ffn/{variant}/seed{seed}" for variant in ("ffn", "st4", "tsm") for seed in (0, 1)]
STUDENTS = [f"student/{variant}/seed0" for variant in ("ce", "distilled")]
SETTINGS = {"lambda_kl": 1.0, "epochs": 12, "flip": {"a": "b"}, "sizes": [1, 2]}
TABLE = """variant,frames,acc,gate,ms_1,top1_std,p
ffn,4,50,True,1,,0.5
ffn,8,80,True,2,,0.5
st4,4,40,True,3,1,0.5
"""


def wrong(*clips):
    """Predictions that are right but for these clips."""
    pred = LABEL.copy()
    pred[list(clips)] = (pred[list(clips)] + 1) % 4
    return pred


def write_predictions(file, pred, label=LABEL, ids=None, count=None):
    names = [f"clip {n}" for n in range(len(pred))] if ids is None else ids
    table = pd.DataFrame({"video_id": names, "label_id": label})
    scores = np.eye(4)[pred]
    if count is None:
        table["pred"] = pred
        table = table.join(pd.DataFrame(scores, columns=[f"s_{k}" for k in range(4)]))
    else:
        table["pred_1f"], table[f"pred_{count}f"] = (pred + 1) % 4, pred
        table = table.join(pd.DataFrame(scores, columns=[f"s{count}_{k}" for k in range(4)]))
    table.to_csv(file, index=False)


def write_run(root, run, pred, settings=SETTINGS, count=None, **more):
    folder = root / run
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    write_predictions(folder / "predictions.csv", pred, count=count, **more)
    gate = {"passed": True, "reason": ""}
    (folder / "metrics.json").write_text(json.dumps({"result_gate": gate}))
    frames = root / "frames/test/shard_0.h5"
    write_sidecar(
        folder / "model.safetensors", settings=settings, inputs=[frames, OUTSIDE], code="t1", seed=0,
        start={"folder": str(root / "checkpoints/a")},
    )  # fmt: skip
    for name, code in (("predictions.csv", "p1"), ("metrics.json", "m1")):
        write_sidecar(folder / name, settings={}, inputs=[folder / "model.safetensors"], code=code)


def write_results(root):
    (root / "frames/test").mkdir(parents=True)
    (root / "frames/test/shard_0.h5").write_bytes(b"frames")
    write_sidecar(root / "frames/test/shard_0.h5", settings={"per_video": 16}, inputs=[], code="f1")
    for run in RUNS:
        write_run(root, run, wrong(*range(20)), count=16)
    for run in STUDENTS:
        write_run(root, run, wrong(*range(100)))
    (root / "ffn/any_frame.csv").write_text(TABLE)
    write_sidecar(root / "ffn/any_frame.csv", settings={}, inputs=[], code="a1")
    return root


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write_results(tmp_path_factory.mktemp("made") / "one/results")


@pytest.fixture
def a(made, tmp_path):
    return shutil.copytree(made, tmp_path / "one/results")


@pytest.fixture
def b(made, tmp_path):
    """The same once more, in another place and under another name."""
    return shutil.copytree(made, tmp_path / "other/elsewhere")


def edit(artefact, change):
    """Change the sidecar of a file."""
    file = artefact.with_name(sidecar(artefact.name))
    record = json.loads(file.read_text())
    change(record)
    file.write_text(json.dumps(record))


def section(page, title):
    """The lines of a section; none where it is not there."""
    found = page.partition(f"\n## {title}\n\n")[2].partition("\n\n## ")[0]
    return [line for line in found.strip().splitlines() if line]


def titles(page):
    return [line[3:] for line in page.splitlines() if line.startswith("## ")]


def row(page, name):
    """The cells of a row by their heading."""
    header, _, *rows = [line.strip("| ").split(" | ") for line in section(page, "Runs") if line[0] == "|"]
    (cells,) = [cells for cells in rows if cells[0] == name]
    return dict(zip(header, cells, strict=True))


def test_equal_folders_have_no_difference(a, b):
    page = compare(a, b)
    assert titles(page) == []
    assert page.endswith("\n\nNo difference. 26 files with provenance are in both.\n")
    assert compare(a, a).endswith("26 files with provenance are in both.\n")


def test_times_and_places_are_no_difference(a, b):
    for artefact in (b / RUNS[0] / "model.safetensors", b / "ffn/any_frame.csv"):
        edit(artefact, lambda record: record.update(wall_s=1e6, peak_memory_mb=1e6, artefact={}))
    (b / "ffn/any_frame.csv").write_text(TABLE.replace("True,1,", "True,9,").replace("0.5", "0.01"))
    assert "No difference." in compare(a, b)


# ---- settings, code, versions, data


def test_settings_are_said_for_all_runs_at_once(a, b):
    for run in RUNS:
        edit(b / run / "model.safetensors", lambda record: record["settings"].update(lambda_kl=0.5))
    page = compare(a, b)
    assert titles(page) == ["Settings"]
    assert section(page, "Settings") == ["- all 6 runs of ffn: lambda_kl 1.0 → 0.5"]


def test_settings_are_said_by_variant_and_by_seed(a, b):
    def change(record):
        record["settings"] |= {"epochs": 24, "flip": {"a": "c"}, "sizes": [1, 3], "new": None}

    for run in ("ffn/st4/seed0", "ffn/st4/seed1", "ffn/tsm/seed1"):
        edit(b / run / "model.safetensors", change)
    edit(b / "student/ce/seed0/model.safetensors", lambda record: record["settings"].pop("epochs"))
    assert section(compare(a, b), "Settings") == [
        '- ffn/st4, ffn/tsm/seed1: epochs 12 → 24; flip.a "b" → "c"; new absent → null; '
        "sizes [1, 2] → [1, 3]",
        "- student/ce: epochs 12 → absent",
    ]


def test_a_change_that_more_runs_have_stands_alone(a, b):
    edit(b / RUNS[0] / "model.safetensors", lambda record: record["settings"].update(lambda_kl=2, epochs=1))
    edit(b / RUNS[2] / "model.safetensors", lambda record: record["settings"].update(epochs=1))
    assert section(compare(a, b), "Settings") == [
        "- ffn/ffn/seed0, ffn/st4/seed0: epochs 12 → 1",
        "- ffn/ffn/seed0: lambda_kl 1.0 → 2",
    ]


def test_another_start_is_a_setting(a, b):
    def other(record):
        record["start"] = {"folder": record["start"]["folder"].replace("checkpoints/a", "checkpoints/b")}

    edit(b / STUDENTS[0] / "model.safetensors", other)
    assert section(compare(a, b), "Settings") == [
        '- student/ce: start.folder "<results>/checkpoints/a" → "<results>/checkpoints/b"'
    ]


def test_other_code_is_named_by_what_it_makes(a, b):
    for run in RUNS:
        edit(b / run / "metrics.json", lambda record: record.update(code="m2"))
    edit(b / "frames/test/shard_0.h5", lambda record: record.update(code="f2"))
    assert section(compare(a, b), "Code") == [
        "- other code made 7 of 26 files: `ffn/*/seed*/metrics.json` (6 files), `frames/*/shard_*.h5`"
    ]


def test_other_commits_are_named(a, b):
    def commit(name, dirty):
        return lambda record: record.update(git=name and {"commit": name * 40, "dirty": dirty})

    for file in a.rglob("*.json"):
        if file.name.endswith(sidecar("")):
            artefact = file.with_name(file.name.removesuffix(sidecar("")))
            edit(artefact, commit("a", False))
            edit(b / artefact.relative_to(a), commit("b", artefact.name == "metrics.json"))
    edit(b / RUNS[0] / "metrics.json", commit(None, False))
    assert section(compare(a, b), "Code") == [
        "- commits of A: aaaaaaaaaa",
        "- commits of B: bbbbbbbbbb, bbbbbbbbbb with changes that are in no commit, none known",
    ]


def test_other_versions_and_devices_are_named(a, b):
    def newer(record):
        record["packages"] |= {"numpy": "99.1", "extra": "1"}
        record |= {"python": "3.99", "device": "NVIDIA H100", "platform": "Other"}

    before = json.loads((a / RUNS[0] / sidecar("model.safetensors")).read_text())
    edit(b / RUNS[0] / "model.safetensors", newer)
    assert section(compare(a, b), "Versions") == [
        "- device: cpu → NVIDIA H100, cpu",
        "- extra: absent → 1",
        f"- numpy: {before['packages']['numpy']} → {before['packages']['numpy']}, 99.1",
        f"- platform: {before['platform']} → {before['platform']}, Other",
        f"- python: {before['python']} → {before['python']}, 3.99",
    ]


def test_other_data_is_named(a, b):
    edit(b / "frames/test/shard_0.h5", lambda record: record["artefact"].update(sha256="0"))

    def read(record):
        record["inputs"][str(OUTSIDE)] = "1"
        record["inputs"]["/data/more.csv"] = "2"

    edit(b / RUNS[0] / "model.safetensors", read)
    lines = section(compare(a, b), "Data")
    assert lines == [
        "- 1 of 1 files differ: `frames/*/shard_*.h5`",
        f"- files from elsewhere that differ: `{OUTSIDE}`",
        "- read by B only: `/data/more.csv`",
    ]


def test_files_in_one_folder_only_are_named(a, b):
    shutil.rmtree(b / "student/ce")
    page = compare(a, b)
    assert section(page, "Files") == [
        "- only in A: `student/*/seed*/{metrics.json,model.safetensors,predictions.csv}`"
    ]
    assert section(page, "Runs") == ["- only in A: student/ce"]
    assert section(compare(b, a), "Runs") == ["- only in B: student/ce"]


def test_a_file_that_was_changed_by_hand_is_named(a, b):
    with (b / "ffn/any_frame.csv").open("a") as table:
        table.write("new,4,1,True,1,,0.5\n")
    page = compare(a, b)
    assert section(page, "Files") == ["- changed in B after they were made: `ffn/any_frame.csv`"]
    assert section(page, "Tables") == ["- `ffn/any_frame.csv`: rows in B only: new, 4"]


# ---- runs


def test_a_run_that_differs_is_compared_clip_by_clip(a, b):
    write_run(b, "student/distilled/seed0", wrong(*range(60)))
    page = compare(a, b)
    assert titles(page) == ["Runs"]
    cells = row(page, "student/distilled")
    assert (cells["seeds"], cells["clips"], cells["changed"]) == ("1", "200", "40")
    assert (cells["A"], cells["B"], cells["B − A"]) == ("50.00", "70.00", "+20.00")
    assert float(cells["p"]) == pytest.approx(2 / 10_000, abs=5e-5)
    assert float(cells["p, Holm"]) == pytest.approx(5 * 2 / 10_000, abs=1e-4), "of five variants"
    assert section(page, "Runs")[-1] == (
        "- These differ by more than other clips would explain (p < 0.05): student/distilled. Holm's "
        "correction is for the 5 variants in both, of which 4 have the same predictions."
    )


def test_the_interval_is_that_of_another_bootstrap(a, b):
    better, worse = range(100, 130), range(20, 35)
    write_run(a, "student/distilled/seed0", wrong(*range(20), *better))
    write_run(b, "student/distilled/seed0", wrong(*range(20), *worse))
    difference = np.zeros(CLIPS)
    difference[list(better)], difference[list(worse)] = 1, -1
    draws = np.random.default_rng(5).integers(0, CLIPS, (40_000, CLIPS))
    low, high = np.percentile(100 * difference[draws].mean(axis=1), [2.5, 97.5])
    cells = row(compare(a, b), "student/distilled")
    found = [float(end) for end in cells["95% interval"].split(" to ")]
    assert found == pytest.approx([low, high], abs=0.55)
    assert cells["B − A"] == "+7.50"


def test_seeds_are_added_up_clip_by_clip(a, b):
    write_run(b, "ffn/st4/seed0", wrong(*range(10)), count=16)
    write_run(b, "ffn/st4/seed1", wrong(*range(5), 50), count=16)
    cells = row(compare(a, b), "ffn/st4")
    assert (cells["seeds"], cells["clips"], cells["changed"]) == ("2", "200", "26")
    assert (cells["A"], cells["B"]) == ("90.00", f"{100 - (10 + 6) / 4:.2f}")
    more = np.zeros(CLIPS, dtype=int)
    more[:20] += [0] * 10 + [1] * 10
    more[:20] += [0] * 5 + [1] * 15
    more[50] -= 1
    assert cells["p"] == f"{sign_flip_p(more):.4f}"


def test_holm_is_over_all_variants(a, b):
    for run, right in (("student/ce/seed0", 8), ("student/distilled/seed0", 12)):
        write_run(b, run, wrong(*range(100 - right)))
    page = compare(a, b)
    rows = [row(page, name) for name in ("student/ce", "student/distilled")]
    p_values = [float(cells["p"]) for cells in rows]
    wanted = holm([*p_values, 1, 1, 1])[:2]
    assert [float(cells["p, Holm"]) for cells in rows] == pytest.approx(wanted, abs=2e-4)


def test_a_small_difference_is_not_told_from_none(a, b):
    write_run(b, "student/ce/seed0", wrong(*range(99)))
    assert section(compare(a, b), "Runs")[-1].startswith(
        "- None differs by more than other clips would explain (p < 0.05)."
    )


def test_seeds_of_one_folder_only_are_left_out_and_named(a, b):
    write_run(b, "student/ce/seed4", wrong())
    write_run(b, "student/ce/seed0", wrong(*range(50)))
    page = compare(a, b)
    assert row(page, "student/ce")["seeds"] == "1"
    assert "- student/ce: seed4 in B only" in section(page, "Runs")


def test_other_clips_are_said_and_left_out(a, b):
    ids = [f"clip {n}" for n in range(10, CLIPS)] + [f"more {n}" for n in range(5)]
    label = np.concatenate([LABEL[10:], np.zeros(5, dtype=int)])
    write_run(b, "student/ce/seed0", label, label=label, ids=ids)
    page = compare(a, b)
    assert "- student/ce: A has 200 clips and B 195, 190 of them in both" in section(page, "Runs")
    cells = row(page, "student/ce")
    assert (cells["clips"], cells["A"], cells["B"]) == ("190", f"{100 * 100 / 190:.2f}", "100.00")


def test_other_labels_are_said_and_left_out(a, b):
    label = LABEL.copy()
    label[:3] = (label[:3] + 2) % 4
    write_run(b, "student/ce/seed0", wrong(*range(100)), label=label)
    lines = section(compare(a, b), "Runs")
    assert lines == ["- student/ce: 3 clips have another label in B and are left out"]


def test_no_clip_in_common(a, b):
    write_run(b, "student/ce/seed0", LABEL, ids=[f"other {n}" for n in range(CLIPS)])
    assert section(compare(a, b), "Runs") == ["- student/ce: A has 200 clips and B 200, 0 of them in both"]


def test_other_frame_counts_are_not_compared(a, b):
    write_run(b, "ffn/st4/seed0", wrong(), count=8)
    assert "- ffn/st4: A is of 16 frames and B of 8: not compared" in section(compare(a, b), "Runs")


def test_a_result_gate_that_fails_in_one_is_said(a, b):
    failed = {"result_gate": {"passed": False, "reason": "x"}}
    (b / "ffn/st4/seed1/metrics.json").write_text(json.dumps(failed))
    assert "- ffn/st4: seed1 fails the result gate in B only" in section(compare(a, b), "Runs")


def test_runs_without_a_seed_are_runs(a, b):
    for root, right in ((a, 0), (b, 40)):
        (root / "trimodel/heads/amd").mkdir(parents=True)
        write_predictions(root / "trimodel/heads/amd/predictions.csv", wrong(*range(right)))
    assert row(compare(a, b), "trimodel/heads/amd")["B − A"] == "-20.00"


def test_resume_states_are_no_runs(a, b):
    (b / "ffn/ffn/.state").mkdir()
    write_predictions(b / "ffn/ffn/.state/predictions.csv", wrong())
    assert "No difference." in compare(a, b)


# ---- tables


def test_cells_that_differ_come_by_their_share(a, b):
    changed = TABLE.replace("ffn,4,50,", "ffn,4,60,").replace("ffn,8,80,True", "ffn,8,81,False")
    (b / "ffn/any_frame.csv").write_text(changed.replace("3,1,", "3,,"))
    assert section(compare(a, b), "Tables") == [
        "| table | row | column | A | B |",
        "| --- | --- | --- | ---: | ---: |",
        "| `ffn/any_frame.csv` | ffn, 8 | gate | True | False |",
        "| `ffn/any_frame.csv` | ffn, 4 | acc | 50 | 60 |",
        "| `ffn/any_frame.csv` | ffn, 8 | acc | 80 | 81 |",
        "- `ffn/any_frame.csv`: values in A only: top1_std",
    ]


def test_only_so_many_cells_are_listed(a, b):
    for root, value in ((a, 1), (b, 2)):
        rows = "".join(f"{n},{value + n}\n" for n in range(50))
        (root / "student/student.csv").write_text(f"variant,top1\n{rows}")
    lines = section(compare(a, b), "Tables")
    assert len(lines) == 2 + 20 + 1
    assert "| 0 | top1 | 1 | 2 |" in lines[2]
    assert lines[-1] == "30 cells that differ less are left out."


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("variant,top1\nx,1\n", "name,top1\nx,2\n"),
        ("variant,top1\nx,1.5\nx,2\n", "variant,top1\nx,1.5\nx,3\n"),
        ("top1,low\n1.5,1\n", "top1,low\n2.5,1\n"),
    ],
)
def test_tables_without_a_common_key_are_not_compared(a, b, one, other):
    (a / "student/student.csv").write_text(one)
    (b / "student/student.csv").write_text(other)
    assert section(compare(a, b), "Tables") == [
        "- `student/student.csv`: its rows are not told apart by the same columns: not compared"
    ]


def test_tables_of_data_and_of_the_report_are_not_compared(a, b):
    for root, value in ((a, 1), (b, 2)):
        for name in ("data/x.csv", "report/tables/x.csv", "ffn/ffn/seed0/history.csv"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(f"variant,top1\nx,{value}\n")
    assert "No difference." in compare(a, b)


@pytest.mark.parametrize("name", ["ms_1", "ms", "ms_1_low", "peak_mb", "p", "p_holm", "wall_s", "seconds"])
def test_columns_that_say_nothing_are_left_out(name):
    assert LEFT_OUT.match(name)
    assert not LEFT_OUT.match(f"x{name}")


@pytest.mark.parametrize("name", ["params", "pairs", "mse", "mean_class", "top1"])
def test_columns_of_figures_are_not(name):
    assert not LEFT_OUT.match(name)


# ---- names


def test_many_files_have_few_names():
    files = [
        f"features/{name}/{split}/shard_{k}.h5" for name in "ab" for split in ("train", "val") for k in (0, 1)
    ]
    assert patterns([*files, "trimodel/trimodel.csv", "ffn/ffn/seed0/config.json"]) == [
        "`features/a/*/shard_*.h5` (4 files)",
        "`features/b/*/shard_*.h5` (4 files)",
        "`trimodel/trimodel.csv`",
        "`ffn/*/seed*/config.json`",
    ]


def test_the_folder_of_a_run_is_known():
    assert seed_folder("ffn/st4/seed0/model.safetensors") == "ffn/st4/seed0"
    assert seed_folder("probes/a.linear.class/seed12/x/y") == "probes/a.linear.class/seed12"
    assert seed_folder("student/teacher/motion/metrics.json") is None


def test_the_only_run_of_a_method_has_its_name():
    assert in_words({"ffn/a/seed0"}, {"ffn/a/seed0", "fusion/b/seed0"}) == "ffn/a"


def test_long_lists_are_counted():
    units = {f"m/v{n:02}/seed0" for n in range(12)}
    assert in_words(units, units | {"m/other/seed0"}).endswith("m/v07, and 4 more")


# ---- the command, and bad input


def run(*arguments):
    return CliRunner().invoke(compare_results.main, [str(argument) for argument in arguments])


def test_the_command_prints_and_writes(a, b, tmp_path):
    write_run(b, "student/ce/seed0", wrong())
    done = run(a, b, "--output", tmp_path / "new/changes.md")
    assert done.exit_code == 0
    assert done.output == compare(a, b) == (tmp_path / "new/changes.md").read_text()
    assert done.output.startswith("# Comparison of two results folders\n")


@pytest.mark.parametrize("name", ["absent", "file.txt", "empty"])
def test_what_is_no_results_folder_is_refused(a, tmp_path, name):
    (tmp_path / "file.txt").write_text("")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/predictions.csv").write_text("video_id,label_id,pred\n1,1,1\n")
    words = "is no results folder" if name == "empty" else "is no folder"
    for pair in ((a, tmp_path / name), (tmp_path / name, a)):
        done = run(*pair)
        assert done.exit_code == 2
        assert f"{tmp_path / name} {words}" in done.output
        assert done.output.count("\n") == 1


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"'])
def test_a_sidecar_that_is_none_is_named(a, b, text):
    file = b / RUNS[0] / sidecar("metrics.json")
    file.write_text(text)
    with pytest.raises(UserError, match=r"metrics\.json\.provenance\.json"):
        compare(a, b)


def test_predictions_that_cannot_be_read_are_named(a, b):
    file = b / "student/ce/seed0/predictions.csv"
    file.write_text("video_id,label_id,pred\n")
    with pytest.raises(UserError, match=r"student/ce/seed0/predictions\.csv has no predictions"):
        compare(a, b)
    file.write_text("video_id,label_id,pred\n1,1,1\n1,1,1\n")
    with pytest.raises(UserError, match="has video '1' twice"):
        compare(a, b)
