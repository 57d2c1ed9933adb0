"""The peers' virtual environments: their own packages on top of this project's.

Knows pip and site-packages. PyTorch and the rest of the service's packages are not installed again: a .pth file
adds the project's own environment behind each peer's. Where a peer wants another version of something, it gets
its own.
"""

import subprocess
import sys
import sysconfig
from pathlib import Path

from benchmarks.serving.peers import ENVIRONMENTS, PEERS, REQUIREMENTS, ROOT, Peer


def install() -> None:
    """Make every environment that is not there yet.

    Raises:
        SystemExit: a peer's interpreter is missing, or of another version than the project's.
    """
    for peer in PEERS:
        if peer.own_environment and not (ENVIRONMENTS / peer.name / "installed").exists():
            print(f"installing {peer.name}", flush=True)
            _install(peer)


def _install(peer: Peer) -> None:
    interpreter = peer.interpreter or sys.executable
    home = ENVIRONMENTS / peer.name
    if not Path(interpreter).exists():
        sys.exit(
            f"{peer.name} needs {interpreter}: on Debian, apt-get install python3 python3-venv"
        )
    subprocess.run([interpreter, "-m", "venv", "--clear", str(home)], check=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    own = home / "lib" / version / "site-packages"
    if not own.exists():
        sys.exit(f"{peer.name}: {interpreter} must be {version}, as the project's environment is")
    (own / "project.pth").write_text(f"{sysconfig.get_path('purelib')}\n{ROOT}\n")
    requirements = REQUIREMENTS / f"{peer.name}.txt"
    subprocess.run(
        [str(peer.python), "-m", "pip", "install", "--quiet", "-r", str(requirements)], check=True
    )
    (home / "installed").touch()


def versions(peer: Peer) -> dict[str, str]:
    """Return the versions of a peer's packages, as its own interpreter sees them."""
    code = "import sys, importlib.metadata as m; print(*(m.version(n) for n in sys.argv[1:]))"
    found = subprocess.run(
        [str(peer.python), "-c", code, *peer.packages, "torch", "numpy"],
        check=True,
        capture_output=True,
        text=True,
    )
    return dict(zip((*peer.packages, "torch", "numpy"), found.stdout.split(), strict=True))
