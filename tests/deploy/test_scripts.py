"""The shell scripts of deployment."""

import sys
from pathlib import Path

import pytest

from tests.deploy.tools import ROOT, run

SCRIPTS = sorted([*ROOT.glob("docker/**/*.sh"), *ROOT.glob("tests/deploy/**/*.sh")])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_script_has_no_finding(script: Path) -> None:
    """shellcheck has nothing to say, and a script that is run stops at its first error."""
    done = run(Path(sys.executable).parent / "shellcheck", "--external-sources", script)
    assert done.returncode == 0, done.stdout
    text = script.read_text()
    if text.startswith("#!"):
        assert "\nset -e" in text
        assert script.stat().st_mode & 0o111
