"""The service against its own OpenAPI document, by schemathesis: every operation, all checks, a real socket."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.settings import Settings
from tests.fakes import FakeRuntime
from tests.serving import in_thread, wait_until_ready

TESTS = Path(__file__).parents[1]
CONFIG, HOOKS = TESTS / "schemathesis.toml", TESTS / "schemathesis_hooks.py"
KEY = "a-key-for-schemathesis"


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """Run a service that asks for keys, in a thread of its own."""
    keys = tmp_path / "keys"
    keys.write_text(f"tests:{KEY}\n")
    chosen = Settings(host="127.0.0.1", port=0, max_body_bytes=2**20, api_keys_file=keys)
    with in_thread(chosen, FakeRuntime()) as address:
        wait_until_ready(address)
        yield address


def test_what_the_document_says_is_true(url: str) -> None:
    """Statuses, media types, headers and bodies are as documented; nothing undocumented comes back."""
    schemathesis = Path(sys.executable).parent / "schemathesis"
    command = [str(schemathesis), "--config-file", str(CONFIG), "run"]
    options = ["--checks", "all", "--max-examples", "40", "--seed", "1", "--no-color"]
    options += ["--header", f"X-API-Key: {KEY}"]
    options += ["--generation-database", "none"]  # the same examples each time
    done = subprocess.run(
        [*command, f"{url}/openapi.json", *options],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "SCHEMATHESIS_HOOKS": str(HOOKS)},
    )
    assert done.returncode == 0, done.stdout[-5000:]
    assert "Tested: 11" in done.stdout
