"""Memory that a process keeps: counted in the kernel's page faults."""

from __future__ import annotations

import subprocess
import sys

import pytest

BATCHES = """
import resource, torch
from vidkd.engine.cpu import use_cpu
{start}
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for number in range(40):
    if number == 30:
        before = faults()
    torch.ones({size} * 2**20, dtype=torch.uint8)
print(torch.get_num_threads(), (faults() - before) * resource.getpagesize() / (10 * {size} * 2**20))
"""


def batches(start: str, size: int) -> tuple[int, float]:
    """Threads, and the share of `size` MiB that each of the last batches gets from the kernel."""
    command = [sys.executable, "-c", BATCHES.format(start=start, size=size)]
    threads, share = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return int(threads), float(share)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is Linux's")
@pytest.mark.parametrize("size", [40, 200])
def test_a_batch_gets_the_memory_of_the_last_one(size):
    assert batches("torch.set_num_threads(1)", size)[1] > 0.9
    assert batches("use_cpu(1)", size)[1] < 0.01


def test_the_number_of_threads_is_the_one_that_is_asked_for():
    assert batches("use_cpu(2)", 1)[0] == 2
