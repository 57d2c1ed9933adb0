"""Freed memory stays with the process."""

import subprocess
import sys

import pytest

# In a process of its own: an allocator cannot be set back.
PROGRAM = """
import resource, sys
import torch
from app.runtime.allocator import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def activations():
    return [torch.ones(3_000_000) for _ in range(4)]
activations(), activations()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    activations()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
PAGES_OF_ONE_BATCH = 4 * 3_000_000 * 4 // 4096


def _faults(how: str) -> int:
    command = [sys.executable, "-c", PROGRAM, how]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")
def test_batches_live_in_the_memory_of_the_batch_before() -> None:
    """Ten batches after two cost fewer page faults than one batch has pages; otherwise more than two have."""
    assert _faults("kept") < PAGES_OF_ONE_BATCH
    assert _faults("as it was") > 2 * PAGES_OF_ONE_BATCH
