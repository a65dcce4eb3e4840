"""Measure what a clip takes each student, and its teacher."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.backbones import BackboneSettings
from vidkd.config.options import INPUT, PATH, command
from vidkd.engine.logging import setup_logging
from vidkd.methods.student.latency import measure_students
from vidkd.named import named_files
from vidkd.provenance import code_digest, write_sidecar


@command
@click.option("--teacher-head", type=INPUT, required=True, help="model.safetensors of fit_teacher_head.")
@click.option("--teacher", required=True, metavar="JSON", help="Settings of the teacher's network.")
@click.option("--output", type=PATH, required=True, help="Table of costs, CSV.")
@click.option("--rounds", type=click.IntRange(min=2), default=30, help="How often each is timed.")
@click.argument("students", metavar="VARIANT=FILE...", nargs=-1, required=True)
def main(students: tuple[str, ...], teacher_head: Path, teacher: str, output: Path, rounds: int) -> None:
    """Time one clip through each model.safetensors and the teacher, in turn, on one thread and on two."""
    setup_logging()
    files = named_files(students, "STUDENTS")
    network = BackboneSettings.model_validate_json(teacher)
    measure_students(files, teacher_head, network, output, rounds)
    inputs = [*files.values(), teacher_head]
    code = code_digest("workflow_scripts.measure_student")
    write_sidecar(output, settings={"rounds": rounds}, inputs=inputs, code=code, network=network)


if __name__ == "__main__":
    main()
