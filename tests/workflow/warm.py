"""A `python` that has imported the libraries already: `-m module` in a fork of it.

Three quarters of the CPU time of a run of small jobs are imports of torch and transformers. Runs that this
speeds up have the same commands, files and exit codes, and a process for each job; `python` is another in
the search path. The tiny run, kills and SLURM start the real one each time, as users do.
"""

from __future__ import annotations

import array
import atexit
import gc
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path

LIBRARIES = (
    "snakemake.cli", "torch._dynamo", "vidkd.torchvision_ops", "accelerate", "av", "h5py", "open_clip",
    "matplotlib.pyplot", "pandas", "scipy.stats", "sklearn.metrics", "timm", "tqdm", "yaml",
    "transformers.modeling_utils", "transformers.models.videomae.modeling_videomae",
)  # fmt: skip
"""What is imported. Nothing of the project, of which a run has its own copy, but torchvision's operators."""

RUN_HERE = ("snakemake", "tests.", "torch.distributed.run", "workflow_scripts.")

# Without site packages: it starts in hundredths of a second.
CLIENT = """#!{python} -IS
import array, json, os, signal, socket, sys
words = sys.argv[2:] if sys.argv[1:2] == ["-u"] else sys.argv[1:]
if words[:1] != ["-m"] or not words[1].startswith({modules}):
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
mask = os.umask(0)
os.umask(mask)
wanted = json.dumps([words[1:], os.getcwd(), dict(os.environ), mask]).encode()
streams = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))
server.sendmsg([len(wanted).to_bytes(4, "big")], [streams])
server.sendall(wanted)
def told():
    number = server.recv(4)
    return int.from_bytes(number, "big") if number else sys.exit("what forks this job has ended")
job = told()
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
    signal.signal(number, lambda number, frame: os.kill(job, number))
status = told()
if os.WIFSIGNALED(status):
    number = os.WTERMSIG(status)
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
sys.exit(os.WEXITSTATUS(status))
"""


@cache
def python() -> Path:
    """The interpreter. What it forks is started once, and ends with this process, which holds its input."""
    folder = Path(tempfile.mkdtemp(prefix="warm"))
    address = folder / "socket"
    client = folder / "bin/python"
    client.parent.mkdir()
    client.write_text(CLIENT.format(python=sys.executable, address=str(address), modules=RUN_HERE))
    client.chmod(0o755)
    server = subprocess.Popen(
        [sys.executable, __file__, str(address), str(client)],
        env={"HOME": str(folder), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
        cwd=Path(__file__).parents[2], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"
    return client


def main(address: str, client: str) -> None:
    """Fork for each connection, until the input ends."""
    sys.path[0] = str(Path.cwd())
    for name in LIBRARIES:
        import_module(name)
    del sys.modules["vidkd"], sys.path[0]
    gc.freeze()
    jobs: dict[int, tuple[int, socket.socket]] = {}
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        print("ready", flush=True)
        while True:
            clients = [connection for _, connection in jobs.values()]
            ready, _, _ = select.select([listening, sys.stdin, *jobs, *clients], [], [])
            if sys.stdin in ready:
                shutil.rmtree(Path(address).parent)
                return
            _watch(jobs, ready)
            if listening in ready:
                connection, _ = listening.accept()
                wanted, streams = _asked(connection)
                job = os.fork()
                if job == 0:
                    break
                connection.sendall(job.to_bytes(4, "big"))
                jobs[os.pidfd_open(job)] = job, connection
                for stream in streams:
                    os.close(stream)
    for watched, (_, other) in jobs.items():
        os.close(watched)
        other.close()
    connection.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    _become(*json.loads(wanted), client)


def _watch(jobs: dict[int, tuple[int, socket.socket]], ready: Sequence[object]) -> None:
    """Tell clients how their jobs ended, and end jobs that nobody waits for."""
    for watched, (job, connection) in list(jobs.items()):
        if watched in ready:
            _, status = os.waitpid(job, 0)
            with suppress(BrokenPipeError):
                connection.sendall(status.to_bytes(4, "big"))
            connection.close()
            os.close(watched)
            del jobs[watched]
        elif connection in ready:
            os.kill(job, signal.SIGKILL)


def _asked(connection: socket.socket) -> tuple[bytes, list[int]]:
    """What a client wants to be run, as JSON, and its three streams."""
    streams = array.array("i")
    size, [(_, _, data)], _, _ = connection.recvmsg(4, socket.CMSG_SPACE(3 * streams.itemsize))
    streams.frombytes(data)
    wanted = b""
    while len(wanted) < int.from_bytes(size, "big"):
        wanted += connection.recv(65536)
    return wanted, streams.tolist()


def _become(words: list[str], folder: str, environment: dict[str, str], mask: int, client: str) -> None:
    """Be `python -m` with these words."""
    os.chdir(folder)
    os.umask(mask)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = [folder, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    sys.executable = client  # which Snakemake's jobs and torchrun's processes run then
    sys.argv = words
    try:
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as error:
        status = _status(error.code)
    except BaseException:
        traceback.print_exc()
        status = 1
    # As an interpreter ends, but for taking the libraries apart: that would copy all their memory first.
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _status(code: str | int | None) -> int:
    if code is None or isinstance(code, int):
        return code or 0
    print(code, file=sys.stderr)
    return 1


if __name__ == "__main__":
    main(*sys.argv[1:])
