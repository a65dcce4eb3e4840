"""Train one student with one seed, from labels and from a CLIP teacher."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.backbones.source import network_files
from vidkd.config.backbones import BackboneSettings
from vidkd.config.options import PATH, command, settings_options
from vidkd.engine.logging import setup_logging
from vidkd.engine.run import RUN_FILES
from vidkd.methods.labelled import Videos
from vidkd.methods.student.by_hand import place_options
from vidkd.methods.student.settings import StudentSettings
from vidkd.methods.student.train import Teaching, train
from vidkd.provenance import code_digest, stamp, write_sidecar

NATURAL = click.IntRange(min=0)


@command
@settings_options(StudentSettings)
@place_options
@click.option("--variant", default="by_hand", help="Name of the variant, for the results to say.")
@click.option("--label", default="class", help="Name of the label, for the results to say.")
@click.option("--run-dir", type=PATH, default="results/student/by_hand/seed0", help="Folder of the run.")
@click.option("--seed", type=NATURAL, default=0, help="Seed of weights, order and augmentation.")
@click.option("--workers", type=NATURAL, default=0, help="Loader processes; no effect on the result.")
def main(
    settings: StudentSettings,
    videos: Videos,
    start: BackboneSettings | None,
    teaching: Teaching | None,
    variant: str,
    label: str,
    run_dir: Path,
    seed: int,
    workers: int,
) -> None:
    """Train a student; frame stores and features are files, or folders of them."""
    setup_logging()
    inputs = [*videos.train, *videos.val, videos.classes, videos.labels]
    if teaching is not None:
        inputs += [teaching.head, teaching.head.with_name("config.json"), *teaching.train, *teaching.val]
        inputs += network_files(teaching.backbone)
    inputs += network_files(start) if start is not None else []
    code = code_digest("workflow_scripts.train_student")
    about = {"variant": variant, "label": label}
    networks = f"{start} {teaching and teaching.backbone} {videos.marked_only}"
    state = stamp(settings, inputs, f"{code} {networks}", seed)
    train(settings, videos, start, teaching, run_dir, about, seed=seed, stamp=state, workers=workers)
    for name in RUN_FILES:
        more = {"seed": seed, "start": start, **about}
        write_sidecar(run_dir / name, settings=settings, inputs=inputs, code=code, **more)


if __name__ == "__main__":
    main()
