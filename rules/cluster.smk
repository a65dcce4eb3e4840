"""What a run on a cluster is checked for before its first job."""

MOST_JOBS = 2000


def check_arrays():
    """Refuse a limit of jobs with which a job array would wait forever.

    Array mode of Snakemake's SLURM plugin never submits the jobs of a rule that a limit holds back for later
    (its issue 473).
    """
    arrays = getattr(workflow.executor_settings, "array_jobs", None)
    if arrays and workflow.resource_settings.nodes < MOST_JOBS:
        raise UserError(
            f"--jobs {workflow.resource_settings.nodes} with --slurm-array-jobs: the run could wait forever for jobs"
            f" that were never submitted. Leave jobs at {MOST_JOBS}, or take slurm-array-jobs out of"
            " profiles/slurm/config.yaml."
        )


onstart:
    sentence_or(check_arrays)
