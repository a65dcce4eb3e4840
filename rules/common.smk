"""The configuration, and the environment of every job."""

import os
import sys
from pathlib import Path

# The project need not be installed: its own folder comes first, here and in every job.
PROJECT = Path(str(workflow.current_basedir)).parent
sys.path.insert(0, str(PROJECT))

from vidkd.config.data import SPLITS
from vidkd.config.load import read_yaml
from vidkd.workflow.asking import (
    asked,
    code,
    files,
    look_at_events_only,
    or_sentence,
    prepare_jobs,
    refuse_arrays,
    section,
    words,
)
from vidkd.workflow.methods import Workflow

prepare_jobs(PROJECT)
# The script takes the place of the shell, which would die at once of the signal that asks a training to save its
# state: Snakemake would then take the job for ended, and a cluster kill what is still saving.
shell.prefix("set -euo pipefail; exec ")

# Snakemake itself takes the last one of a key that is given twice.
for file in workflow.configfiles:
    if Path(file).suffix in (".yaml", ".yml"):
        or_sentence(read_yaml, file)
flow = Workflow(config, PROJECT)
cfg, paths = flow.settings, flow.paths
run = paths.run()


wildcard_constraints:
    **flow.constraints(),
