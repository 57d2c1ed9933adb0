"""The `ssvp` command as its user runs it: one process, its exit code, its last line."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.serving import END_S, SSVP, START_S, in_process, wait_for

PICTURE = Path("model/bundles/ssvp-nano/golden.png")


def _run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SSVP, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
    )


def test_serve_starts_serves_and_ends_in_order(tmp_path: Path) -> None:
    """The shipped bundle becomes ready, a picture gets its verdict, SIGTERM ends it with 0."""
    log = tmp_path / "log"
    with in_process(log) as (process, url):
        picture, query = PICTURE.read_bytes(), {"product": "leather"}
        answer = httpx.post(f"{url}/v1/detect", params=query, content=picture, timeout=30)
        assert answer.status_code == 200
        assert answer.json()["model"]["name"] == "ssvp-nano"
        process.send_signal(signal.SIGTERM)
        assert process.wait(END_S) == 0
    text = log.read_text()
    assert "ssvp-nano" in text
    assert "is ready" in text
    assert "Traceback" not in text


def test_sigterm_under_load_loses_no_accepted_request(tmp_path: Path) -> None:
    """Eight callers without a pause: what the service accepted, it answered; then it ends with 0."""
    log, picture = tmp_path / "log", PICTURE.read_bytes()
    answered: list[int] = []
    cut: list[str] = []
    stopped = threading.Event()

    def call(url: str) -> None:
        with httpx.Client(base_url=url, timeout=30) as client:
            while not stopped.is_set():
                try:
                    answer = client.post("/v1/detect", params={"heatmap": "none"}, content=picture)
                except httpx.ConnectError:
                    return  # nobody listens any more
                except httpx.TransportError as error:
                    cut.append(repr(error))
                    return
                answered.append(answer.status_code)

    with in_process(log) as (process, url), ThreadPoolExecutor(8) as callers:
        calls = [callers.submit(call, url) for _ in range(8)]
        try:
            wait_for(lambda: len(answered) >= 20, lambda: process.poll() is None)
            process.send_signal(signal.SIGTERM)
            assert process.wait(END_S) == 0
        finally:
            stopped.set()
        for ended in calls:
            ended.result()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    accepted = [line["status"] for line in lines if line.get("path") == "/v1/detect"]
    assert sorted(answered) == sorted(accepted)
    assert set(answered) <= {200, 503}
    assert answered.count(200) >= 20
    # A request that crossed the closing of its idle connection was never read; there is one a caller at most.
    assert len(cut) <= len(calls)


@pytest.mark.parametrize(
    ("content", "complaint"), [(None, "no folder"), ("{}", "schema_version")], ids=["none", "empty"]
)
def test_a_bundle_that_cannot_be_used_ends_the_start(
    tmp_path: Path, content: str | None, complaint: str
) -> None:
    """One clear line, a failing exit code, no traceback."""
    folder = tmp_path / "bundle"
    if content is not None:
        folder.mkdir()
        (folder / "bundle.json").write_text(content)
    done = _run("serve", SSVP_BUNDLE=str(folder), SSVP_PORT="0", SSVP_HOST="127.0.0.1")
    assert done.returncode == 1
    assert complaint in done.stderr
    assert str(folder) in done.stderr
    assert "Traceback" not in done.stderr


_HUNG = """
import atexit, threading
from app import cli, main
from app.engine import lifecycle
from tests.fakes import FakeRuntime

lifecycle.FIRST_GOLDEN_S = lifecycle.HUNG_S = 0.2
runtime = FakeRuntime()
runtime.gate.clear()
main.load_runtime = lambda settings: runtime
atexit.register(threading.Event().wait)  # as a driver waits for its device
cli.cli(["serve"])
"""


def test_a_device_that_hangs_ends_the_process() -> None:
    """With an error, so that it is started anew, though neither its thread nor its driver returns."""
    settings = {"SSVP_PORT": "0", "SSVP_HOST": "127.0.0.1", "SSVP_GRACE_TIME_S": "1"}
    done = subprocess.run(
        [sys.executable, "-c", _HUNG],
        env=os.environ | settings | {"SSVP_GOLDEN_INTERVAL_S": "0.2"},
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
    )
    assert done.returncode == 1
    assert "the device hangs" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use_ends_the_start() -> None:
    """Not a service that runs and cannot be reached."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = _run("serve", SSVP_PORT=port, SSVP_HOST="127.0.0.1")
    assert done.returncode != 0
    assert "address already in use" in done.stderr


def test_a_setting_that_cannot_be_read_ends_the_start() -> None:
    """Its name and what is wrong with it."""
    done = _run("serve", SSVP_PORT="http")
    assert done.returncode == 2
    assert "SSVP_PORT" in done.stderr
    assert "Traceback" not in done.stderr
