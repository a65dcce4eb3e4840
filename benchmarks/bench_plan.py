"""What planning costs: jobs, time and memory of `snakemake -n` on as many videos as Something-Something v2.

Label files name 220,847 videos; there are no videos, for only probing opens them, and what it would write
is made up. `ssv2` is config/experiments/ssv2.yaml; `all methods` has the demo's seven networks, converters,
fusion heads and students besides, in as many shards as keep it below 2,000 jobs. States:
nothing has run; the videos are listed; they are probed, and the manifest is built. Each figure is of one
run: where others compute beside it, CPU seconds say more than seconds. Run: `make bench`.
"""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import yaml
from bench_probe import probe_without_files

from vidkd.paths import Paths

ROOT = Path(__file__).resolve().parents[1]
VIDEOS = {"train": 168_913, "validation": 24_777, "test": 27_157}
CLASSES = 174
SHARDS = 64
RESULTS = Path(__file__).parent / "results" / "plan.csv"
SNAKEMAKE = """
import atexit, pathlib, runpy
atexit.register(lambda: print(pathlib.Path("/proc/self/status").read_text()))
runpy.run_module("snakemake", run_name="__main__", alter_sys=True)
"""
"""Not ru_maxrss for the memory, which a new program inherits from the one that started it."""
COLUMNS = ("configuration", "target", "state", "jobs", "seconds", "cpu_seconds", "mb")

Row = dict[str, object]


def write_labels(folder: Path) -> None:
    """Label files in the form of Something-Something v2, and an empty folder of videos."""
    (folder / "videos").mkdir(parents=True)
    (folder / "labels").mkdir()
    templates = [f"Putting [something] onto [something] in way {number:03}" for number in range(CLASSES)]
    first = 1
    for split, count in VIDEOS.items():
        entries: list[dict[str, Any]] = [{"id": str(number)} for number in range(first, first + count)]
        if split != "test":
            for number, entry in enumerate(entries):
                template = templates[number % CLASSES]
                label = template.replace("[something]", "a cup")
                entry |= {"label": label, "template": template, "placeholders": ["a cup", "a cup"]}
        (folder / f"labels/{split}.json").write_text(json.dumps(entries))
        first += count
    names = {re.sub(r"[][]", "", name): str(number) for number, name in enumerate(templates)}
    (folder / "labels/labels.json").write_text(json.dumps(names))


def read_config(name: str) -> dict[str, Any]:
    """A configuration of the project as it is written."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "config" / name).read_text())
    return found


def all_methods(results_dir: str, n_shards: int) -> dict[str, Any]:
    """ssv2.yaml with the methods of the demo, for the one label that Something-Something has."""
    ssv2 = read_config("experiments/ssv2.yaml")
    config = read_config("config.yaml") | ssv2 | {"results_dir": results_dir, "probes": {}}
    config["data"]["n_shards"] = n_shards
    for method in ("student", "trimodel"):
        config[method]["labels"] = "all"
        for setting in ("flip", "flip_labels"):
            config[method]["base"].pop(setting, None)
    for setting in ("label", "also_judged"):
        del config["student"][setting]
    del config["student"]["teacher"]["class_names"]
    return config


def snakemake(folder: Path, *arguments: str) -> tuple[str, float, float, float]:
    """Run it in `folder`: what it prints, seconds, CPU seconds and peak memory in MB."""
    command = [sys.executable, "-c", SNAKEMAKE, "--snakefile", str(ROOT / "Snakefile"), *arguments]
    start, before = time.perf_counter(), os.times()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    seconds, after = time.perf_counter() - start, os.times()
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return done.stdout, seconds, cpu, int(done.stdout.rpartition("VmHWM:")[2].split()[0]) / 1024


def plan(folder: Path, *arguments: str) -> Row:
    """Jobs, time and memory of a dry run."""
    text, seconds, cpu, mb = snakemake(folder, *arguments)
    total = re.search(r"^total +(\d+)$", text, re.MULTILINE)
    return {"jobs": int(total[1]) if total else 0, "seconds": seconds, "cpu_seconds": cpu, "mb": mb}


def targets(paths: Paths, config: dict[str, Any]) -> Iterator[str]:
    """What a person asks for; the empty name is everything."""
    summary = paths.report_table.format(table="summary")
    yield from ("", "download_weights", paths.manifest, paths.table("ffn", "tfd"), summary)
    if "backbones" in config:
        yield from ("features", paths.table("features", "probes"), paths.table("converters", "quality"))
        yield from (paths.table("fusion", "fusion"), paths.exported("fusion", "bundle"))
        yield from (paths.table("student", "student"), paths.table("trimodel", "trimodel"))


def measure(folder: Path, name: str, config: dict[str, Any]) -> Iterator[Row]:
    """Every target where nothing has run, and everything as the videos become known."""
    file, paths = folder / f"{name}.yaml", Paths(config["results_dir"])
    file.write_text(yaml.safe_dump(config))
    options = ("--configfile", str(file))

    def planned(state: str, target: str = "") -> Row:
        words = (target,) if target else ()
        found = plan(folder, *words, "-n", *options)
        return {"configuration": name, "target": target or "all", "state": state} | found

    for target in targets(paths, config):
        yield planned("nothing has run", target)
    snakemake(folder, "list_videos", "--cores", "1", *options)
    yield planned("listed")
    probe_without_files((folder / paths.classes).parent, config["data"]["n_shards"])
    # Snakemake takes note of files that it did not make, and planning compares as much as after a real run.
    touch = ("--touch", "--forcerun", "probe_videos", "--until", "probe_videos")
    snakemake(folder, *touch, "--cores", "1", *options)
    snakemake(folder, paths.manifest, "--cores", "1", *options)
    yield planned("probed, manifest built")


def larger(folder: Path) -> Iterator[Row]:
    """All methods with three seeds, and in shards of 1,000 videos."""
    changes: dict[str, tuple[int, dict[str, Any]]] = {
        f"all methods, {SHARDS} shards, 3 seeds": (SHARDS, {"seeds": [0, 1, 2]}),
        "all methods, 200 shards": (200, {}),
    }
    for name, (n_shards, settings) in changes.items():
        file = folder / f"{name}.yaml"
        file.write_text(yaml.safe_dump(all_methods("results/larger", n_shards) | settings))
        found = plan(folder, "-n", "--configfile", str(file))
        yield {"configuration": name, "target": "all", "state": "nothing has run"} | found


def main() -> None:
    """Measure, print and write the table."""
    RESULTS.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name, RESULTS.open("w", newline="") as stream:
        folder = Path(name)
        write_labels(folder / "data/ssv2")
        table = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        table.writeheader()
        rows = chain(
            measure(folder, "ssv2", read_config("experiments/ssv2.yaml")),
            measure(folder, f"all methods, {SHARDS} shards", all_methods("results/all", SHARDS)),
            larger(folder),
        )
        for row in rows:
            row |= {key: f"{row[key]:.1f}" for key in ("seconds", "cpu_seconds", "mb")}
            print(*row.values(), sep="  ", flush=True)
            table.writerow(row)


if __name__ == "__main__":
    main()
