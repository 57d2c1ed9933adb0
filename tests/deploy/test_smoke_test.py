"""The script that is run after a deployment says whether it worked."""

import asyncio
from pathlib import Path

import pytest

from tests.deploy.tools import ROOT
from tests.fakes import FakeRuntime
from tests.serving import serving_until_it_ends

pytestmark = pytest.mark.anyio

SCRIPT = ROOT / "docker" / "smoke_test.sh"
KEY = "a-key-of-sufficient-length-for-anyone"


async def _run(url: str, **environment: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        SCRIPT,
        url,
        env={"PATH": "/usr/bin:/bin", **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, printed.decode()


async def test_it_passes_on_a_service_that_inspects() -> None:
    """The verdict is printed."""
    async with serving_until_it_ends(FakeRuntime()) as (_, _, port):
        code, printed = await _run(f"http://127.0.0.1:{port}")
    assert code == 0, printed
    assert '"part_id":"smoke-test"' in printed


async def test_it_fails_where_a_key_is_asked_for_and_none_given(tmp_path: Path) -> None:
    """With the key it passes."""
    keys = tmp_path / "keys"
    keys.write_text(f"line:{KEY}\n")
    keys.chmod(0o600)
    async with serving_until_it_ends(FakeRuntime(), api_keys_file=keys) as (_, _, port):
        code, printed = await _run(f"http://127.0.0.1:{port}")
        assert code == 1
        assert "key_missing" in printed
        code, printed = await _run(f"http://127.0.0.1:{port}", API_KEY=KEY)
    assert code == 0, printed
