"""Cache what a run makes of features, once for all trainings on them."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd import lazy
from vidkd.artefacts import write_sidecars
from vidkd.config.options import PATH, command
from vidkd.engine.logging import setup_logging
from vidkd.methods.cli import method_argument, needs_options
from vidkd.methods.inputs import Inputs
from vidkd.methods.needs import Needs
from vidkd.provenance import code_digest
from vidkd.registry import find_method


@command
@needs_options
@click.option("--output-train", type=PATH, required=True, help="The shard of converted features of train.")
@click.option("--output-val", type=PATH, required=True, help="The shard of converted features of val.")
@click.option("--output-test", type=PATH, required=True, help="The shard of converted features of test.")
@method_argument("CONVERT")
def main(method: str, needs: Needs, output_train: Path, output_val: Path, output_test: Path) -> None:
    """Cache the features that a run of METHOD makes of those of a network."""
    setup_logging()
    inputs = Inputs(needs)
    outputs = {"train": output_train, "val": output_val, "test": output_test}
    entry = find_method(method).CONVERT
    lazy.load(entry)(inputs, outputs)
    code = code_digest("workflow_scripts.convert_features", lazy.module_of(entry))
    write_sidecars(outputs.values(), settings={}, inputs=inputs.files, code=code)


if __name__ == "__main__":
    main()
