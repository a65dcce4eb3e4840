"""Two results folders of real files, and the page that compares them."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from vidkd.artefacts import write_sidecar
from vidkd.errors import UserError
from vidkd.paths import sidecar
from vidkd.report.compare import TABLES, VARYING, compare
from workflow_scripts import compare_results

OUTSIDE = Path(__file__)
RUNS = ["ffn/ffn/seed0", "ffn/ffn/seed1", "ffn/st4/seed0", "student/ce/seed0"]
EQUAL = [
    "- *.safetensors: 4 of 4 are equal",
    "- predictions.csv: 4 of 4 are equal",
    "- *.h5: 1 of 1 are equal",
]
TABLE = """variant,frames,acc,gate,ms_1,top1_std,p
ffn,4,50,True,1,,0.5
ffn,8,80,True,2,,0.5
st4,4,40,True,3,1,0.5
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made") / "one/results"
    frames, table = root / "frames/test/shard_0.h5", root / "ffn/any_frame.csv"
    frames.parent.mkdir(parents=True)
    frames.write_bytes(b"frames")
    write_sidecar(frames, settings={"per_video": 16}, inputs=[], code="f1")
    for run in RUNS:
        (root / run).mkdir(parents=True)
        settings = {"lambda_kl": 1.0, "epochs": 12, "flip": {"a": "b"}, "start": str(root / "checkpoints/a")}
        weights, predictions = root / run / "model.safetensors", root / run / "predictions.csv"
        weights.write_bytes(b"weights")
        write_sidecar(weights, settings=settings, inputs=[frames, OUTSIDE], code="t1", seed=0)
        predictions.write_text("video_id,label_id,pred\n1,1,1\n")
        write_sidecar(predictions, settings={}, inputs=[weights], code="p1")
    table.write_text(TABLE)
    write_sidecar(table, settings={}, inputs=[], code="a1")
    return root


@pytest.fixture
def a(made, tmp_path):
    return shutil.copytree(made, tmp_path / "one/results")


@pytest.fixture
def b(made, tmp_path):
    """The same once more, as if it had been made in another place under another name."""
    root = shutil.copytree(made, tmp_path / "other/elsewhere")
    for file in root.rglob(f"*{sidecar('')}"):
        file.write_text(file.read_text().replace(f"{made}/", "/other/elsewhere/"))
    return root


def edit(artefact, change):
    """Change the sidecar of a file."""
    file = artefact.with_name(sidecar(artefact.name))
    record = json.loads(file.read_text())
    change(record)
    file.write_text(json.dumps(record))


def rewrite(table, text):
    """Write a table as the step that makes it would have."""
    table.write_text(text)
    found = hashlib.sha256(text.encode()).hexdigest()
    edit(table, lambda record: record["artefact"].update(sha256=found, bytes=len(text.encode())))


def section(page, title):
    """The lines of a section; none where it is not there."""
    found = page.partition(f"\n## {title}\n\n")[2].partition("\n\n## ")[0]
    return [line for line in found.strip().splitlines() if line]


def test_equal_folders_have_no_difference(a, b):
    edit(b / RUNS[0] / "model.safetensors", lambda record: record.update(wall_s=1e6, peak_memory_mb=1e6))
    rewrite(b / "ffn/any_frame.csv", TABLE.replace("True,1,", "True,9,").replace("0.5", "0.01"))
    page = compare(a, b)
    assert "\n10 files with provenance are in both." in page
    assert section(page, "Bytes") == EQUAL
    assert page.count("## ") == 1, "places, times and memory are no difference"


def test_changes_of_sidecars_are_listed_by_run(a, b):
    def change(record):
        record["settings"] |= {"epochs": 24, "flip": {"a": "c"}, "new": None}
        record |= {"code": "t2", "python": "3.99", "device": "NVIDIA H200"}
        record["packages"] |= {"extra": "1"}
        record["inputs"][str(OUTSIDE)] = "1"

    for run in RUNS[:2]:
        edit(b / run / "model.safetensors", change)
    edit(b / RUNS[3] / "model.safetensors", lambda record: record["settings"].pop("epochs"))
    edit(b / RUNS[3] / "model.safetensors", lambda record: record.update(seed=1))
    page = compare(a, b)
    runs = ", ".join(RUNS[:2])
    assert section(page, "Settings") == [
        f'- {runs}: epochs 12 → 24; flip.a "b" → "c"; new absent → null',
        "- student/ce/seed0: seed 0 → 1; epochs 12 → absent",
    ]
    assert section(page, "Code") == [f"- {runs}: other code"]
    (versions,) = section(page, "Versions")
    assert versions.startswith(f'- {runs}: extra absent → "1"; python "3.')
    assert section(page, "Processor") == [f'- {runs}: device "cpu" → "NVIDIA H200"']
    (inputs,) = section(page, "Inputs")
    assert inputs.startswith(f"- {runs}: {OUTSIDE} ")


def test_a_path_below_the_results_is_the_same_in_both(a, b):
    def change(record):
        record["settings"]["start"] = record["settings"]["start"].replace("checkpoints/a", "checkpoints/b")

    edit(b / RUNS[2] / "model.safetensors", change)
    assert section(compare(a, b), "Settings") == [
        f'- {RUNS[2]}: start "results:checkpoints/a" → "results:checkpoints/b"'
    ]


def test_weights_with_other_bytes_are_named(a, b):
    for file in (f"{RUNS[1]}/model.safetensors", f"{RUNS[2]}/predictions.csv"):
        edit(b / file, lambda record: record["artefact"].update(sha256="0"))
    assert section(compare(a, b), "Bytes")[:2] == [
        f"- *.safetensors: 3 of 4 are equal; these differ: {RUNS[1]}",
        f"- predictions.csv: 3 of 4 are equal; these differ: {RUNS[2]}",
    ]


def test_runs_and_files_in_one_folder_only_are_named(a, b):
    shutil.rmtree(b / "student/ce")
    for file in (b / RUNS[0]).glob("predictions.csv*"):
        file.unlink()
    found = "ffn/ffn/seed0/predictions.csv, student/ce/seed0"
    assert section(compare(a, b), "In one folder only") == [f"- A: {found}"]
    assert section(compare(b, a), "In one folder only") == [f"- B: {found}"]


def test_cells_that_differ_come_by_their_share(a, b):
    changed = TABLE.replace("ffn,4,50,", "ffn,4,60,").replace("ffn,8,80,True", "ffn,8,81,False")
    rewrite(b / "ffn/any_frame.csv", changed.replace("3,1,", "3,,") + "new,4,1,True,1,,0.5\n")
    lines = section(compare(a, b), "Tables")
    assert lines == [
        "| table | row | column | A | B | B − A |",
        "| --- | --- | --- | ---: | ---: | ---: |",
        "| ffn/any_frame.csv | ffn, 8 | gate | True | False |  |",
        "| ffn/any_frame.csv | st4, 4 | top1_std | 1 | nan |  |",
        "| ffn/any_frame.csv | ffn, 4 | acc | 50 | 60 | +10 |",
        "| ffn/any_frame.csv | ffn, 8 | acc | 80 | 81 | +1 |",
        "- ffn/any_frame.csv: rows in B only: new, 4",
    ]
    within = section(compare(a, b, tolerance=0.05), "Tables")
    assert within == [line for line in lines if "+1 |" not in line]


def test_only_so_many_cells_are_listed(a, b):
    for root, value in ((a, 1), (b, 2)):
        rows = "".join(f"{n},{value + n}\n" for n in range(50))
        (root / "student/student.csv").write_text(f"variant,top1\n{rows}")
    lines = section(compare(a, b), "Tables")
    assert len(lines) == 2 + 40 + 1
    assert "| 0 | top1 | 1 | 2 | +1 |" in lines[2]
    assert lines[-1] == "10 cells that differ less are left out."


def test_a_table_whose_rows_have_no_common_key_is_not_compared(a, b):
    (a / "student/student.csv").write_text("variant,top1\nx,1.5\nx,2\n")
    (b / "student/student.csv").write_text("variant,top1\nx,1.5\nx,3\n")
    assert section(compare(a, b), "Tables") == [
        "- student/student.csv: its rows are not told apart by the same columns: not compared"
    ]


def test_tables_that_repeat_others_are_not_compared():
    assert all(map(TABLES.match, ["report/tables/summary.csv", "student/latency.csv", "ffn/tfd.csv"]))
    others = [
        "data/x.csv",
        "report/tables/x.csv",
        "ffn/ffn/seed0/history.csv",
        "ffn/ffn/seed0/predictions.csv",
    ]
    assert not any(map(TABLES.match, others))


def test_columns_of_times_memory_and_p_are_left_out():
    assert all(map(VARYING.match, ["ms_1", "ms", "ms_1_low", "peak_mb", "p", "p_holm", "wall_s", "seconds"]))
    assert not any(map(VARYING.match, ["params", "pairs", "mse", "mean_class", "top1"]))


def run(*arguments):
    return CliRunner().invoke(compare_results.main, [str(argument) for argument in arguments])


def test_the_command_prints_and_writes(a, b, tmp_path):
    done = run(a, b, "--tolerance", "0.1", "--output", tmp_path / "new/changes.md")
    assert done.exit_code == 0
    assert done.output == compare(a, b, 0.1) == (tmp_path / "new/changes.md").read_text()


@pytest.mark.parametrize(("name", "words"), [("absent", "is no folder"), ("empty", "is no results folder")])
def test_what_is_no_results_folder_is_refused(a, tmp_path, name, words):
    (tmp_path / "empty").mkdir()
    for pair in ((a, tmp_path / name), (tmp_path / name, a)):
        done = run(*pair)
        assert done.exit_code == 2
        assert f"{tmp_path / name} {words}" in done.output
        assert done.output.count("\n") == 1


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"'])
def test_a_sidecar_that_is_none_is_named(a, b, text):
    (b / RUNS[0] / sidecar("predictions.csv")).write_text(text)
    with pytest.raises(UserError, match=r"predictions\.csv\.provenance\.json"):
        compare(a, b)
