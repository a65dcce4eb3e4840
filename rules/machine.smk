"""What a run has of its machines: GPUs, processes, the queue of a cluster, and what earlier runs left."""

from snakemake_interface_executor_plugins.settings import ExecMode

from vidkd.leftovers import date_back, drop_stale_locks

MOST_JOBS = 2000

# Not in the jobs of a run, and not when one is planned only.
if workflow.exec_mode == ExecMode.DEFAULT and not workflow.dryrun:
    if drop_stale_locks(Path(".snakemake")):
        print("Removed the locks of a Snakemake that was killed.", file=sys.stderr)
    if dated_back := date_back(Path(cfg.results_dir)):
        print(
            f"{dated_back} files below {cfg.results_dir} were dated in the future, by a clock that was ahead;"
            " they are dated now.",
            file=sys.stderr,
        )

# Of a job that is not shared by several processes.
one_gpu = min(1, cfg.compute.gpus)

# Trainings that can be shared have a process for each GPU: a resource, for the number changes no result.
processes = max(1, cfg.compute.gpus)
launch = ""
if processes > 1:
    launch = f"torch.distributed.run --standalone --nproc_per_node={processes} -m "
    # It passes on only what it handles; after half a minute it would kill what is still saving its state.
    os.environ.update(
        PET_SIGNALS_TO_HANDLE="SIGTERM,SIGINT,SIGUSR1", PET_SHUTDOWN_TIMEOUT="300"
    )


# Some seconds each, which on a cluster is less than a job waits: Snakemake draws them where it runs itself.
localrules:
    draw_attention,
    draw_clips,
    draw_confusion,
    draw_converters,
    draw_curves,
    draw_dag,
    draw_fusion,
    draw_mistakes,
    draw_per_class,
    draw_similarity,
    draw_tfd,
    draw_tradeoff,
    build_report,


def training_cores(settings):
    """What the processes of a training need: each has its loaders, or its threads."""
    return processes * max(cfg.compute.workers, settings.cpu_threads)


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


def look_at_events_only():
    """Have a local run look for jobs to start when something has ended, and not by the clock.

    For its limit of jobs in a time Snakemake (9.27) looks again a second after each look while jobs wait, so that
    every job that ends adds one more look a second (benchmarks/bench_scheduler.py).
    """
    if workflow.local_exec:
        workflow.scheduler.job_rate_limiter = None


onstart:
    sentence_or(check_arrays)
    look_at_events_only()
