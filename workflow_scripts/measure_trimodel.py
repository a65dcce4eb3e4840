"""Measure what a clip takes each student, its teacher and its assistant."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.backbones import BackboneSettings
from vidkd.config.options import INPUT, PATH, command
from vidkd.engine.logging import setup_logging
from vidkd.methods.trimodel.latency import measure_trimodels
from vidkd.methods.trimodel.settings import ASSISTANT, TEACHER
from vidkd.methods.trimodel.train import Network
from vidkd.named import named_files
from vidkd.provenance import code_digest, write_sidecar


@command
@click.option("--teacher", required=True, metavar="JSON", help="Settings of the teacher's network.")
@click.option("--teacher-head", type=INPUT, required=True, help="model.safetensors of fit_trimodel_head.")
@click.option("--assistant", required=True, metavar="JSON", help="Settings of the assistant's network.")
@click.option("--assistant-head", type=INPUT, required=True, help="model.safetensors of fit_trimodel_head.")
@click.option("--output", type=PATH, required=True, help="Table of costs, CSV.")
@click.option("--rounds", type=click.IntRange(min=2), default=30, help="How often each is timed.")
@click.argument("students", metavar="VARIANT=FILE...", nargs=-1, required=True)
def main(
    students: tuple[str, ...],
    teacher: str,
    teacher_head: Path,
    assistant: str,
    assistant_head: Path,
    output: Path,
    rounds: int,
) -> None:
    """Time one clip through each model.safetensors and both networks, in turn, on one thread and on two."""
    setup_logging()
    files = named_files(students, "STUDENTS")
    given = {TEACHER: (teacher, teacher_head), ASSISTANT: (assistant, assistant_head)}
    networks = {
        name: Network(head, BackboneSettings.model_validate_json(text))
        for name, (text, head) in given.items()
    }
    measure_trimodels(files, networks, output, rounds)
    inputs = [*files.values(), teacher_head, assistant_head]
    code = code_digest("workflow_scripts.measure_trimodel")
    write_sidecar(output, settings={"rounds": rounds}, inputs=inputs, code=code)


if __name__ == "__main__":
    main()
