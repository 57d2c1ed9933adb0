"""Containers of the service, started as a careful operator starts them."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

IMAGE = "ssvp-inspect:cpu"
READY_S = 120.0
CAREFUL = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--memory=4g")


def docker(*arguments: str) -> str:
    """Run a docker command that must succeed; returns what it wrote."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@dataclass(frozen=True)
class Container:
    """One container of the service, on a port of this machine."""

    name: str
    port: int

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        """Its own address, in the engine's network."""
        found: str = self.inspect()["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
        return found

    def inspect(self) -> dict[str, Any]:
        """Return what the engine knows of it."""
        found: dict[str, Any] = json.loads(docker("inspect", self.name))[0]
        return found

    def wait_until_ready(self) -> float:
        """Return the seconds until it inspected."""
        began = time.monotonic()
        while time.monotonic() < began + READY_S:
            if _ready(self.url):
                return time.monotonic() - began
            time.sleep(0.05)
        raise AssertionError(docker("logs", self.name))

    def wait_until_healthy(self) -> None:
        """Wait for the image's own health check."""
        end = time.monotonic() + READY_S
        while self.inspect()["State"]["Health"]["Status"] != "healthy":
            assert time.monotonic() < end, self.inspect()["State"]["Health"]
            time.sleep(0.2)

    def answered(self) -> list[int]:
        """Return the status of each inspection in its log."""
        done = subprocess.run(
            ["docker", "logs", self.name], capture_output=True, text=True, check=True
        )
        lines = [json.loads(line) for line in (done.stdout + done.stderr).splitlines()]
        return [line["status"] for line in lines if line.get("path") == "/v1/detect"]

    def stop(self) -> int:
        """Send SIGTERM, wait, and return the exit code."""
        docker("stop", "--time=30", self.name)
        code: int = self.inspect()["State"]["ExitCode"]
        return code


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=2).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def start(name: str, port: int, *options: str) -> Container:
    """Start a container that can write nothing and has no rights; one of the same name goes first."""
    subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=False)
    published = f"--publish=127.0.0.1:{port}:8080"
    docker("run", "--detach", f"--name={name}", published, *CAREFUL, *options, IMAGE)
    return Container(name, port)


@contextmanager
def running(name: str, port: int, *options: str) -> Iterator[Container]:
    """Start a container and remove it in the end."""
    container = start(name, port, *options)
    try:
        yield container
    finally:
        docker("rm", "--force", name)
