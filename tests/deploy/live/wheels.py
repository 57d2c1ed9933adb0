"""Collect wheels for building the cpu image where PyTorch's index of CPU wheels cannot be reached.

`python -m tests.deploy.live.wheels 3.11 docker/wheels` takes torch's CPU wheel from the folders that pip itself
searches (`find-links`). Beside it must stand a torchvision without CUDA. The common one has operators for CUDA,
which do not load beside such a torch; the service calls none of them, so they are taken out of the wheel.

Knows wheels; knows neither Docker nor the service.
"""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

# Compiled operators, and the Python file that describes them to torch and fails without them.
OPERATORS = ("torchvision/_C.so", "torchvision/_C_stable.so")
DESCRIPTIONS = "torchvision/_meta_registrations.py"
# torch 2.n goes with torchvision 0.(n + 15).
MINOR_AHEAD = 15


def find_links() -> list[Path]:
    """Return the folders that pip searches beside its index."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    values = [
        line.partition("=")[2].strip("'\"") for line in listed.splitlines() if "find-links" in line
    ]
    return [Path(folder) for value in values for folder in value.split() if Path(folder).is_dir()]


def torch_wheel(python: str) -> Path | None:
    """Return torch's CPU wheel for a Python version such as `3.11`, if there is one."""
    tag = "cp" + python.replace(".", "")
    for folder in find_links():
        for wheel in sorted(folder.glob(f"torch-*+cpu-{tag}-{tag}-*.whl"), reverse=True):
            return wheel
    return None


def without_operators(wheel: Path, folder: Path) -> Path:
    """Write a torchvision wheel without its compiled operators; its version says so."""
    name, version, rest = wheel.name.split("-", 2)
    local = f"{version.partition('+')[0]}+without.operators"
    out = folder / f"{name}-{local}-{rest}"
    with (
        zipfile.ZipFile(wheel) as source,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for item in source.infolist():
            if item.filename in OPERATORS:
                continue
            data = source.read(item)
            if item.filename == DESCRIPTIONS:
                data = b""
            if item.filename.endswith(".dist-info/METADATA"):
                data = data.replace(f"Version: {version}".encode(), f"Version: {local}".encode(), 1)
            item.filename = item.filename.replace(
                f"{name}-{version}.dist-info", f"{name}-{local}.dist-info"
            )
            target.writestr(item, data)
    return out


def main() -> None:
    """Fill the folder; without a CPU wheel of torch it stays empty and the image takes what the index has."""
    python, folder = sys.argv[1], Path(sys.argv[2])
    for stale in (*folder.glob("*.whl"), folder / "constraints.txt"):
        stale.unlink(missing_ok=True)
    torch = torch_wheel(python)
    if torch is None:
        return
    shutil.copy(torch, folder)
    version = torch.name.split("-")[1]
    minor = int(version.split(".")[1]) + MINOR_AHEAD
    subprocess.run(
        [
            sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
            "--python-version", python, "--dest", str(folder), f"torchvision==0.{minor}.*",
        ],
        check=True,
    )  # fmt: skip
    (plain,) = folder.glob("torchvision-*.whl")
    stripped = without_operators(plain, folder)
    plain.unlink()
    pins = (torch.name, stripped.name)
    lines = ["==".join(name.split("-")[:2]) + "\n" for name in pins]
    (folder / "constraints.txt").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
