"""The peak memory of a program in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Not ru_maxrss, which a new program inherits from the one that started it.
PEAK = """
from pathlib import Path
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""


def peak_bytes(program: str, *arguments: object) -> int:
    """The most memory that Python took for `program`, which finds `arguments` in sys.argv."""
    command = [sys.executable, "-c", program + PEAK, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return 1024 * int(done.stdout.split()[-1])
