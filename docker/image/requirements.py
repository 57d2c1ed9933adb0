"""Print what pip must install for one kind of image: `requirements.py cpu|gpu EXTRAS pyproject.toml`.

Knows that the two onnxruntime packages hold the same module, one with CUDA and one without.
"""

import sys
import tomllib
from pathlib import Path


def requirements(kind: str, extras: list[str], pyproject: str) -> list[str]:
    """Return the project's dependencies and those of its extras, for an image with or without CUDA."""
    project = tomllib.loads(pyproject)["project"]
    wanted = list(project["dependencies"])
    for extra in extras:
        wanted += project["optional-dependencies"][extra]
    if kind == "cpu":
        wanted = [name.replace("onnxruntime-gpu[cuda]", "onnxruntime") for name in wanted]
    return wanted


def main() -> None:
    """Write one requirement a line."""
    kind, extras, path = sys.argv[1:]
    for line in requirements(kind, extras.split(), Path(path).read_text(encoding="utf-8")):
        sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
