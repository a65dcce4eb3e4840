"""What a run has of its machines: GPUs, processes, the queue of a cluster, and locks of a run that was killed."""

from snakemake_interface_executor_plugins.settings import ExecMode

from vidkd.workflow.asking import drop_stale_locks

# Not in the jobs of a run, and not when one is planned only.
if workflow.exec_mode == ExecMode.DEFAULT and not workflow.dryrun:
    if drop_stale_locks(Path(".snakemake")):
        print("Removed the locks of a Snakemake that was killed.", file=sys.stderr)

# torchrun passes on only what it handles; after half a minute it would kill what is still saving its state.
if flow.processes > 1:
    os.environ.update(
        PET_SIGNALS_TO_HANDLE="SIGTERM,SIGINT,SIGUSR1", PET_SHUTDOWN_TIMEOUT="300"
    )


# Some seconds each, which on a cluster is less than a job waits: Snakemake draws them where it runs itself.
localrules:
    draw,
    draw_dag,
    build_report,


onstart:
    refuse_arrays(workflow)
    look_at_events_only(workflow)
