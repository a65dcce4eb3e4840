"""Train one run of a method."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from vidkd import lazy
from vidkd.artefacts import stamp, write_sidecars
from vidkd.config.base import Section
from vidkd.config.options import PATH, command, settings_options
from vidkd.engine.logging import setup_logging
from vidkd.engine.run import RUN_FILES
from vidkd.methods.base import Method
from vidkd.methods.cli import method_group, needs_options
from vidkd.methods.inputs import Inputs
from vidkd.methods.needs import Needs
from vidkd.methods.train import Job, train
from vidkd.provenance import code_digest


def make(method: type[Method]) -> click.Command:
    """Train one run of a METHOD; its settings are options of its command."""

    @settings_options(method.RECIPE, exclude=method.CLASHING)
    @needs_options
    @lazy.load(method.BY_HAND)
    @click.option("--run", default="by_hand", help="Name of the run, for the results to say.")
    @click.option("--run-dir", "--save-dir", type=PATH, help="Folder of the run.")
    @click.option("--seed", type=click.IntRange(min=0), default=0, help="Of weights, order, augmentation.")
    @click.option("--workers", type=click.IntRange(min=0), default=0, help="Loader processes.")
    @click.option("--save-steps", type=click.IntRange(min=1), help="Steps between saves of the state.")
    def main(
        settings: Section, needs: Needs, run: str, run_dir: Path | None, seed: int, workers: int,
        save_steps: int | None, max_batches: int | None = None,
    ) -> None:  # fmt: skip
        setup_logging()
        inputs, folder = Inputs(needs), run_dir or Path("results", method.NAME, run, f"seed{seed}")
        code = code_digest(
            "workflow_scripts.train", lazy.module_of(method.TRAIN), *method.modules_of(settings)
        )
        mark = stamp(settings, inputs.files, f"{code} {needs.text()} {max_batches}", seed)
        about = {"method": method.NAME, "run": run}
        job = Job(settings, inputs, folder, seed, mark, workers, about, max_batches, save_steps)
        record = partial(
            write_sidecars, [folder / name for name in RUN_FILES], settings=settings, inputs=inputs.files,
            code=code, seed=seed, needs=needs, max_batches=max_batches, **about,
        )  # fmt: skip
        train(method.NAME, job, record)

    main.__doc__ = f"Train one run of {method.NAME}."
    return command(main)


main = method_group(make, "TRAIN")

if __name__ == "__main__":
    main()
