"""Freed memory stays with the process."""

import subprocess
import sys

import pytest

# In a process of its own: an allocator cannot be set back.
PROGRAM = """
import resource, sys
from app.runtime.allocator import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def layers(times):
    for _ in range(times):
        x = b"x" * 4_000_000
        for _ in range(6):
            wide = x * 4
            x = wide[:4_000_000]
layers(20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
layers(10)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _faults(how: str) -> int:
    command = [sys.executable, "-c", PROGRAM, how]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")
def test_batches_live_in_the_memory_of_the_batch_before() -> None:
    """Blocks of 4 and 16 MB in turn cost few of the page faults that they cost otherwise."""
    assert _faults("kept") < 1000 < _faults("as it was")
