"""A server as a tree of processes: started on its own cores, asked whether it is ready, weighed, ended.

Knows Linux' /proc; knows no HTTP beyond one GET.
"""

import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

START_S = 120.0
_END_S = 30.0
_PROC = Path("/proc")


@contextmanager
def running(
    command: Sequence[str], environment: Mapping[str, str], cores: set[int], log: Path
) -> Iterator[int]:
    """Run a server on these cores alone; yields the process id of the tree's root."""
    cpus = ",".join(str(core) for core in sorted(cores))
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["taskset", "--cpu-list", cpus, *command],  # noqa: S607
            env={**os.environ, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process.pid
        finally:
            _end(process)


def wait_until_ready(pid: int, url: str) -> None:
    """Wait until a GET is answered with 200.

    Raises:
        RuntimeError: the server ended, or took too long.
    """
    end = time.perf_counter() + START_S
    while time.perf_counter() < end:
        if not _is_alive(pid):
            raise RuntimeError("the server ended while it started; see its log")
        try:
            with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310
                if response.status == 200:
                    return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"the server was not ready after {START_S:.0f} s; see its log")


def memory_mib(pid: int) -> float:
    """Weigh a process and all its descendants: their proportional set size, which shares what is shared."""
    pss_kib = 0
    for each in (pid, *descendants(pid)):
        try:
            lines = (_PROC / str(each) / "smaps_rollup").read_text().splitlines()
        except OSError:  # it has ended
            continue
        sizes = {line.split(":")[0]: int(line.split()[1]) for line in lines[1:] if ":" in line}
        pss_kib += sizes["Pss"]
    return pss_kib / 1024


def descendants(pid: int) -> list[int]:
    """Return the ids of all processes below one."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdecimal():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, left = [], [pid]
    while left:
        below = children.get(left.pop(), [])
        found += below
        left += below
    return found


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process and all its descendants; those that have ended are passed over."""
    for each in (pid, *descendants(pid)):
        with suppress(ProcessLookupError):
            os.kill(each, number)


def _end(process: "subprocess.Popen[bytes]") -> None:
    send(process.pid, signal.SIGCONT)
    tree = descendants(process.pid)
    process.terminate()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pid in tree:  # workers that outlived their parent
        if _is_alive(pid):
            os.kill(pid, signal.SIGKILL)


def _is_alive(pid: int) -> bool:
    try:
        state = (_PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"
