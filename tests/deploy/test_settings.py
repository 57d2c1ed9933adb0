"""Every `SSVP_*` name outside the code is a setting that exists."""

import re
from pathlib import Path

import pytest

from app.settings import PREFIX, Settings
from tests.deploy.tools import ROOT

KNOWN = {PREFIX + name.upper() for name in Settings.model_fields}
FILES = sorted(
    path
    for pattern in (
        "Dockerfile",
        "docker-compose.yml",
        "docker/**/*",
        "k8s/**/*.yaml",
        "docs/deployment.md",
    )
    for path in ROOT.glob(pattern)
    if path.is_file() and path.suffix not in {".whl", ".pyc"}
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_settings_named_in_a_file_exist(path: Path) -> None:
    """A name that nothing reads would be a setting that does nothing."""
    named = set(re.findall(rf"\b{PREFIX}[A-Z0-9_]+", path.read_text(encoding="utf-8")))
    assert named <= KNOWN
