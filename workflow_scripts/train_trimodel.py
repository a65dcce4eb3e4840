"""Train one student with one seed, from labels, a teacher and an assistant."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from vidkd.backbones.source import network_files
from vidkd.config.backbones import BackboneSettings
from vidkd.config.options import PATH, command, settings_options
from vidkd.engine.logging import setup_logging
from vidkd.engine.run import RUN_FILES
from vidkd.methods.labelled import Videos
from vidkd.methods.trimodel.by_hand import place_options
from vidkd.methods.trimodel.settings import TriModelSettings
from vidkd.methods.trimodel.train import Network, train
from vidkd.provenance import code_digest, stamp, write_sidecar


@command
@settings_options(TriModelSettings)
@place_options
@click.option("--variant", default="by_hand", help="Name of the variant, for the results to say.")
@click.option("--label", default="class", help="Name of the label, for the results to say.")
@click.option("--run-dir", type=PATH, default="results/trimodel/by_hand/seed0", help="Folder of the run.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Seed of weights, order and clips.")
@click.option("--workers", type=click.IntRange(min=0), default=0, help="Loader processes.")
@click.option("--save-steps", type=click.IntRange(min=1), help="Steps between saves of the state.")
def main(
    settings: TriModelSettings,
    videos: Videos,
    start: BackboneSettings | None,
    networks: Mapping[str, Network],
    run_dir: Path,
    seed: int,
    workers: int,
    save_steps: int | None,
    **about: str,
) -> None:
    """Train a student; frame stores are files, or folders of them."""
    setup_logging()
    inputs = [*videos.train, *videos.val, videos.classes, videos.labels]
    inputs += [file for network in networks.values() for file in network.files]
    inputs += network_files(start) if start is not None else []
    code = code_digest("workflow_scripts.train_trimodel")
    state = stamp(settings, inputs, f"{code} {start} {networks} {videos.marked_only}", seed)
    train(
        settings, videos, start, networks, run_dir, about,
        seed=seed, stamp=state, workers=workers, save_steps=save_steps,
    )  # fmt: skip
    for name in RUN_FILES:
        more = {"seed": seed, "start": start, **about}
        write_sidecar(run_dir / name, settings=settings, inputs=inputs, code=code, **more)


if __name__ == "__main__":
    main()
