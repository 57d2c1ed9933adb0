"""The programs that check manifests and rules, from the PATH or fetched once into `build/tools`.

A test whose program can neither be found nor fetched fails: a check that silently does not run is none.
"""

import fcntl
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FOLDER = ROOT / "build" / "tools"


def run(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a program; its output is kept, its exit code is the caller's to judge."""
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@cache
def promtool() -> str:
    """Return the path of Prometheus' own checker."""
    return shutil.which("promtool") or _fetched("promtool")


@cache
def kustomize() -> list[str]:
    """Return the command that builds a kustomization."""
    if kubectl := shutil.which("kubectl"):
        return [kubectl, "kustomize"]
    return [shutil.which("kustomize") or _fetched("kustomize"), "build"]


def hadolint() -> str:
    """Return the path of the Dockerfile linter, which pip has installed beside Python."""
    return str(Path(sys.executable).parent / "hadolint")


def _fetched(name: str) -> str:
    program = _FOLDER / name
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with (_FOLDER / ".lock").open("w") as lock:  # tests may run in several processes
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            done = run(Path(__file__).with_name("tools.sh"), _FOLDER, name)
            assert done.returncode == 0, f"{name} is needed and cannot be fetched: {done.stderr}"
    return str(program)
