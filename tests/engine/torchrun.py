"""Several processes of one command, as torchrun starts them; on the CPU they talk by gloo.

All are forks of one that has imported the libraries.
"""

from __future__ import annotations

import subprocess

from tests.workflow import warm

TIMEOUT_S = 120


def command(processes: int, module: str, *arguments: object) -> list[str]:
    torchrun = ["torch.distributed.run", "--standalone", f"--nproc_per_node={processes}", "-m"]
    return [str(warm.python()), "-m", *torchrun, module, *map(str, arguments)]


def torchrun(processes: int, module: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run to the end; whether it succeeded is for the caller to see."""
    return subprocess.run(
        command(processes, module, *arguments), capture_output=True, text=True, timeout=TIMEOUT_S
    )
