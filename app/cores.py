"""The cores this process may use, which torch, onnxruntime and the decode pool share.

Knows Linux' scheduler, control groups and OpenMP; in a container the machine's cores say little.
"""

import math
import os
import sys
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def available_cores(cgroup: Path = _CGROUP) -> int:
    """Return the cores this process may run on, or those its control group's quota pays for if they are fewer.

    Args:
        cgroup: where the process's control group is mounted; in a container that is its own.
    """
    affine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, math.ceil(min(affine or 1, _quota(cgroup))))


def let_waiting_threads_sleep() -> None:
    """Let torch's idle threads sleep after some microseconds instead of some milliseconds.

    Decoding, drawing and other programs need the core on which an OpenMP thread spins: where more threads want
    to run than there are cores, images took three times the processor time. Without effect once torch is
    imported.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def take_turns_quickly() -> None:
    """Let Python's threads hand the interpreter lock on after 0.1 ms instead of 5 ms.

    A forward pass drops the lock for each of its thousand short layers and must ask for it again: beside one
    thread that runs Python, an image took fifteen times as long.
    """
    sys.setswitchinterval(1e-4)


def _quota(cgroup: Path) -> float:
    """Return the quota in cores; infinite without one. Reads cgroup v2's file, then v1's two."""
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
    except OSError:
        try:
            quota = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return math.inf
    return math.inf if quota in ("max", "-1") else int(quota) / int(period)
