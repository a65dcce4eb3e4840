# From raw videos to trained networks, tables and a report page.
#
#   snakemake --cores all                                            the demo (config/config.yaml)
#   snakemake --cores all --configfile config/experiments/x.yaml     an experiment, below its own results_dir
#   snakemake --profile slurm --configfile ...                       the same on a cluster
from snakemake.utils import min_version

min_version("9.20")

# An experiment stands alone: Snakemake would merge it into the demo's settings otherwise, variants and all.
if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


include: "rules/common.smk"
include: "rules/machine.smk"


##### stages #####


include: "rules/data.smk"
include: "rules/frames.smk"
include: "rules/checkpoints.smk"
include: "rules/features.smk"
include: "rules/train.smk"
include: "rules/evaluate.smk"
include: "rules/deploy.smk"
include: "rules/report.smk"


rule all:
    default_target: True
    input:
        flow.final_output(),


# Features of every network and split, and nothing that is learnt on them; a shard that was deleted is made again.
rule features:
    input:
        asked(flow.data.all_features),
