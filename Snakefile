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


##### helpers #####


include: "rules/common.smk"
include: "rules/machine.smk"
include: "rules/inputs.smk"
include: "rules/sources.smk"
include: "rules/teaching.smk"
include: "rules/assisting.smk"
include: "rules/reporting.smk"


##### stages #####


include: "rules/data.smk"
include: "rules/frames.smk"
include: "rules/checkpoints.smk"
include: "rules/features.smk"
include: "rules/probes.smk"
include: "rules/converters.smk"
include: "rules/fusion.smk"
include: "rules/bundle.smk"
include: "rules/teacher.smk"
include: "rules/student.smk"
include: "rules/trimodel.smk"
include: "rules/trimodel_table.smk"
include: "rules/ffn.smk"
include: "rules/tables.smk"
include: "rules/figures.smk"
include: "rules/pictures.smk"
include: "rules/dag.smk"
include: "rules/report.smk"


rule all:
    default_target: True
    input:
        final_output(),


# Features of every network and split, and nothing that is learnt on them; a shard that was deleted is made again.
rule features:
    input:
        expand(paths.features, backbone=cfg.backbones, split=SPLITS, shard=SHARDS),
