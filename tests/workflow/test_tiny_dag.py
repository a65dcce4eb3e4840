"""The tiny configuration, from nothing to the report page."""

from __future__ import annotations

import csv
import json
import zipfile

import pytest

from vidkd.paths import Paths, sidecar

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tiny")]

PATHS = Paths("results/tiny")
VARIANTS = ("ffn", "tsm", "st4", "st8")
FIGURES = (
    *("tfd", "curves_ffn", "confusion_ffn", "mistakes_ffn"),
    *("dag", "clips", "tradeoff", "per_class"),
)


def artefacts():
    """Everything that a rule declares."""
    for split in ("train", "val", "test"):
        yield PATHS.demo_annotations.format(split=split)
    for shard in (0, 1):
        yield PATHS.videos.format(shard=shard)
        yield PATHS.probe.format(shard=shard)
        for split in ("train", "val", "test"):
            yield PATHS.frames.format(split=split, shard=shard)
    runs = (
        PATHS.ffn.weights,
        PATHS.ffn.config,
        PATHS.ffn.history,
        PATHS.ffn.predictions,
        PATHS.ffn.efficiency,
        PATHS.ffn.metrics,
    )
    for pattern in runs:
        for variant in VARIANTS:
            yield pattern.format(variant=variant, seed=0)
    yield from (PATHS.classes, PATHS.manifest, PATHS.excluded)
    yield from (PATHS.tfd, PATHS.any_frame, PATHS.report)
    for name in FIGURES:
        yield from (PATHS.figure.format(figure=name), PATHS.bitmap(PATHS.figure.format(figure=name)))


def test_run_takes_less_than_four_minutes(tiny):
    assert tiny.seconds < 240


@pytest.mark.parametrize("artefact", list(artefacts()))
def test_artefact_and_its_sidecar_exist(tiny, artefact):
    path = tiny.project.root / artefact
    assert path.stat().st_size > 0
    record = json.loads((tiny.project.root / sidecar(artefact)).read_text())
    assert record["artefact"]["bytes"] == path.stat().st_size
    assert len(record["code"]) == 64


def test_nothing_is_left_over(tiny):
    left = [path for path in (tiny.project.root / "results").rglob("*") if path.suffix == ".tmp"]
    left += list((tiny.project.root / PATHS.root / "ffn").rglob(".state"))
    assert left == []


def test_table_has_a_row_for_every_variant(tiny):
    with (tiny.project.root / PATHS.tfd).open() as stream:
        names = [row["variant"] for row in csv.DictReader(stream)]
    assert set(VARIANTS) <= set(names)


def test_snakemake_has_a_report_of_its_own(tiny):
    """A zip with the page, figures and tables below their captions and categories."""
    done = tiny.project.snakemake("--configfile", "config/experiments/tiny.yaml", "--report", "report.zip")
    assert done.returncode == 0, done.stdout + done.stderr
    with zipfile.ZipFile(tiny.project.root / "report.zip") as report:
        names = report.namelist()
        index = next(name for name in names if name.endswith("report.html"))
        text = report.read(index).decode()
    for word in ("Frame Flexible Network", "Tables", "Summary", "Data", "Page", "Workflow"):
        assert f'"{word}"' in text, word
    assert sum(name.endswith("/summary.csv") for name in names) == 1
    assert sum(name.endswith("/tfd.svg") for name in names) == 1


def test_second_call_does_nothing(tiny):
    done = tiny.project.snakemake("--cores", "1", "--configfile", "config/experiments/tiny.yaml")
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout + done.stderr
