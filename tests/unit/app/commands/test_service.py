"""The same commands against a running service, over a socket and with a key; and `ssvp bench`."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from typer.testing import Result

from app.commands.bench import percentile_ms
from tests.fakes import FakeRuntime
from tests.serving import listening
from tests.unit.app.commands.conftest import Run

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("parts")]
Ask = Callable[..., Awaitable[Result]]
KEY = "0123456789abcdef"


@pytest.fixture
async def ask(run: Run, tmp_path: Path, anyio_backend: str) -> AsyncIterator[Ask]:
    """Run `ssvp` with --url of a service that asks for a key and keeps profiles."""
    (tmp_path / "keys").write_text(f"office:{KEY}\n")
    (tmp_path / "key").write_text(f"{KEY}\n")
    files = {"api_keys_file": tmp_path / "keys", "products_file": tmp_path / "products.json"}
    async with listening(FakeRuntime(), **files) as (_, port):

        async def invoke(*words: object, key: bool = True) -> Result:
            where = ["--url", f"http://127.0.0.1:{port}"]
            return await asyncio.to_thread(
                run, *words, *where, *(["--api-key-file", "key"] if key else [])
            )

        yield invoke


async def test_verdicts_are_the_services(ask: Ask, run: Run) -> None:
    """Over the socket as in process, to the last digit."""
    there = await ask("detect", "parts", "--json")
    here = await asyncio.to_thread(run, "detect", "parts", "--json")
    assert there.exit_code == here.exit_code == 1

    def judged(result: Result) -> list[tuple[str, float, str]]:
        rows = [json.loads(line) for line in result.stdout.splitlines()]
        return [(row["file"], row["score"], row["result"]) for row in rows]

    assert judged(there) == judged(here)
    assert len(judged(here)) == 21


async def test_a_service_learns_from_pictures_that_are_here(ask: Ask) -> None:
    """Calibrated, listed, rolled back, all through the service."""
    made = await ask("calibrate", "parts/good", "--product", "nut", "--false-reject", 0.05)
    assert made.exit_code == 0, made.output
    row = json.loads(
        (await ask("detect", "parts/bad/light.png", "--product", "nut", "--json")).stdout
    )
    assert (row["threshold_source"], row["profile_version"]) == ("profile", 1)
    listed = await ask("profiles", "list")
    assert "decides" in next(line for line in listed.stdout.splitlines() if "nut" in line)
    assert (await ask("profiles", "rollback", "nut", "--version", 0)).exit_code == 0
    refused = await ask("profiles", "rollback", "nut")
    assert refused.exit_code == 2
    assert "replaced none that is kept" in refused.stderr


async def test_a_key_that_is_missing_is_told_of_every_picture(ask: Ask) -> None:
    """No verdict; exit code 2."""
    done = await ask("detect", "parts/bad", "--json", key=False)
    assert {json.loads(line)["code"] for line in done.stdout.splitlines()} == {"key_missing"}
    assert done.exit_code == 2


async def test_a_load_is_measured(ask: Ask) -> None:
    """Verdicts, times, stages; a table for people, JSON for programs."""
    words = ("bench", "parts/bad", "--callers", 3, "--seconds", 0.3)
    found = json.loads((await ask(*words, "--json")).stdout)
    assert found["images"] > 0
    assert found["verdicts"] == {"NG": found["images"]}
    assert 0 < found["p50_ms"] <= found["p95_ms"] <= found["p99_ms"] <= found["max_ms"]
    assert found["errors"] == {}
    assert set(found["service_ms"]) == {"decode", "queue", "inference", "render", "total"}
    shown = await ask(*words)
    assert shown.exit_code == 0, shown.output
    assert "images a second" in shown.stdout


async def test_errors_under_load_are_counted(ask: Ask) -> None:
    """By code; exit code 2."""
    words = ("bench", "--callers", 2, "--seconds", 0.1)
    done = await ask(*words, "--json", key=False)
    assert done.exit_code == 2
    found = json.loads(done.stdout)
    assert found["images"] == 0
    assert set(found["errors"]) == {"key_missing"}
    shown = await ask(*words, key=False)
    assert shown.exit_code == 2
    assert "None" not in shown.stdout
    assert (await ask("bench", "gone.png")).exit_code == 2


@pytest.mark.parametrize(
    ("count", "share", "rank"), [(1, 0.5, 1), (100, 0.99, 99), (101, 0.99, 100), (4, 1.0, 4)]
)
def test_a_percentile_is_a_value_that_was_seen(count: int, share: float, rank: int) -> None:
    """The smallest within which that share of all lies."""
    assert percentile_ms([n / 1000 for n in range(count, 0, -1)], share) == rank
    assert percentile_ms([], share) is None
