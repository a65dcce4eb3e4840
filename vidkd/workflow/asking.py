"""Answers for Snakemake: sentences in place of tracebacks, digests, what its runs need of this process."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from operator import attrgetter
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from vidkd.config.base import canonical
from vidkd.config.settings import CommonSettings
from vidkd.errors import UserError
from vidkd.methods.needs import Needs
from vidkd.provenance import code_digest

Wildcards = Any
Result = TypeVar("Result")


def or_sentence(make: Callable[..., Result], *arguments: Any) -> Result:
    """Call `make(*arguments)`; a mistake of the user ends Snakemake with its sentence, not a traceback."""
    try:
        return make(*arguments)
    except UserError as error:
        _stop(error)


def _stop(error: UserError) -> NoReturn:
    print(f"Error: {error}", file=sys.stderr, flush=True)
    raise SystemExit(2)


def asked(function: Callable[[Wildcards], Result]) -> Callable[[Wildcards], Result]:
    """Make an input or params function whose `UserError` ends Snakemake with its sentence."""

    def answer(wildcards: Wildcards) -> Result:
        return or_sentence(function, wildcards)

    return answer


def prepare_jobs(project: Path) -> None:
    """Have every job find the project and the interpreter that runs Snakemake.

    `python` in a job is that interpreter also when its environment is not activated; with --sdm conda the
    environment of the rule goes before it.
    """
    for variable, folder in (("PYTHONPATH", project), ("PATH", Path(sys.executable).parent)):
        rest = os.environ.get(variable)
        os.environ[variable] = os.pathsep.join([str(folder), *([rest] if rest else [])])


def code(script: str, *more: str) -> str:
    """Digest the code behind a rule: its script, what that imports, and lazily chosen modules."""
    return or_sentence(code_digest, f"workflow_scripts.{script}", *more)


def section(settings: CommonSettings, name: str) -> Callable[[Wildcards], str]:
    """Make a params function: a section (`frames`) as canonical JSON.

    A function, because Snakemake would take the braces of a plain string for wildcards.
    """
    values = canonical(attrgetter(name)(settings))
    return lambda wildcards: values


def files(needs: Callable[[Wildcards], Needs]) -> Callable[[Wildcards], list[str]]:
    """Make an input function: the files of what a job needs."""
    return asked(lambda wildcards: needs(wildcards).files())


def words(needs: Callable[[Wildcards], Needs]) -> Callable[[Wildcards], str]:
    """Make a params function: what a job needs, as JSON."""
    return asked(lambda wildcards: needs(wildcards).text())


def refuse_arrays(workflow: Any) -> None:
    """Refuse job arrays of Snakemake's SLURM plugin (2.8).

    Each element ends by marking the files of the array's first job as new, long after others have read them,
    so that these would run again; jobs that a limit holds back are never submitted (its issue 473).
    """
    if getattr(workflow.executor_settings, "array_jobs", None):
        _stop(
            UserError(
                "slurm-array-jobs: arrays make finished steps run again, and may wait forever for jobs that "
                "were never submitted. Take slurm-array-jobs out of your profile or command."
            )
        )


def look_at_events_only(workflow: Any) -> None:
    """Have a local run look for jobs to start when something has ended, and not by the clock.

    For its limit of jobs in a time Snakemake (9.27) looks again a second after each look while jobs wait,
    so that every job that ends adds one more look a second (benchmarks/bench_scheduler.py). No option
    turns that off, and with a limit over a longer time (max-jobs-per-timespan) Snakemake waits that long
    before it exits.
    """
    if workflow.local_exec:
        workflow.scheduler.job_rate_limiter = None


def drop_stale_locks(state: Path) -> bool:
    """Remove Snakemake's locks below `state` if no Snakemake runs there; this one's stay as long as it does.

    Snakemake's own locks do not say whose they are: after a kill they stay until somebody calls `--unlock`.
    The lock taken here beside them is one of the kernel, which ends with its process. It may not reach other
    machines that share the disk: where another one has ever run, all is left as it is.

    Args:
        state: the folder `.snakemake`.

    Returns:
        Whether there were any to remove.
    """
    stale = False
    # A read-only folder, or a disk without such locks: Snakemake says itself what it cannot do.
    with suppress(OSError):
        state.mkdir(exist_ok=True)
        own = state / f"running.{socket.gethostname()}"
        # Open until the process ends; its jobs do not inherit it.
        running = os.open(own, os.O_RDWR | os.O_CREAT, 0o666)
        with suppress(BlockingIOError):
            fcntl.flock(running, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if set(state.glob("running.*")) == {own}:
                stale = any(state.glob("locks/*.lock"))
                shutil.rmtree(state / "locks", ignore_errors=True)
        fcntl.flock(running, fcntl.LOCK_SH)
    return stale
