"""The Dockerfile and the few files it runs."""

import re
import runpy
import sys
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.deploy.tools import ROOT, hadolint, run

DOCKERFILE = (ROOT / "Dockerfile").read_text()
DOCKERFILES = ["Dockerfile", "docker/bundle.Dockerfile"]
SCRIPTS = ROOT / "docker/image"


@pytest.mark.parametrize("name", DOCKERFILES)
def test_dockerfile_has_no_finding(name: str) -> None:
    """Hadolint has nothing to say, and nothing tells it to be silent."""
    done = run(hadolint(), "--disable-ignore-pragma", name)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_image_runs_as_a_number(target: str) -> None:
    """Kubernetes' runAsNonRoot cannot judge a name."""
    stage = DOCKERFILE.split(f" AS {target}\n")[1].split("\nFROM ")[0]
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", stage, re.MULTILINE)


def test_signals_reach_the_service() -> None:
    """No shell stands between the container's first process and the service."""
    assert 'ENTRYPOINT ["ssvp"]' in DOCKERFILE
    assert 'CMD ["serve"]' in DOCKERFILE


def test_last_stage_has_no_compiler_and_no_packages_of_the_system() -> None:
    """What serves is the base image and two folders."""
    service = DOCKERFILE.split(" AS service\n")[1]
    assert not re.search(r"^RUN ", service, re.MULTILINE)
    assert "apt" not in DOCKERFILE


def test_ignored_files_stay_out_of_the_image() -> None:
    """The build sees what the Dockerfile copies, and what is copied exists."""
    allowed = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = re.findall(r"^COPY (?!--from)(?:--chmod=\d+ )?(.+) \S+$", DOCKERFILE, re.MULTILINE)
    for name in " ".join(copied).split():
        assert (ROOT / name).exists()
        assert any(name == entry or name.startswith(entry + "/") for entry in allowed), name


def _requirements(kind: str, extras: str = "") -> list[str]:
    done = run(sys.executable, SCRIPTS / "requirements.py", kind, extras, "pyproject.toml")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_only_the_gpu_image_has_onnxruntime_with_cuda() -> None:
    """Everything else is the project's own list, in both."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert _requirements("gpu") == project["dependencies"]
    cpu = _requirements("cpu")
    assert any(line.startswith("onnxruntime>") for line in cpu)
    assert not any("gpu" in line for line in cpu)
    assert len(cpu) == len(project["dependencies"])


def test_training_image_has_the_extra_packages() -> None:
    """EXTRAS=train adds what `ssvp train` imports."""
    assert any(line.startswith("onnxscript") for line in _requirements("gpu", "train"))


@pytest.mark.parametrize(
    ("status", "code", "host"),
    [(200, 0, ""), (200, 0, "127.0.0.2"), (503, 1, ""), (None, 1, "")],
)
def test_healthcheck_says_whether_the_service_is_ready(
    status: int | None, code: int, host: str
) -> None:
    """Ready is healthy; not ready, or nobody there, is not; it is asked where it listens."""
    asked = []

    class Probe(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status or 500)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Be quiet."""

    server = HTTPServer((host or "127.0.0.1", 0), Probe)
    port = server.server_address[1]
    serving = Thread(target=server.serve_forever)
    serving.start()
    if status is None:
        server.shutdown()
        server.server_close()
    try:
        where = (f"SSVP_HOST={host}", f"SSVP_PORT={port}")
        done = run("env", *where, sys.executable, SCRIPTS / "healthcheck.py")
    finally:
        server.shutdown()
        server.server_close()
        serving.join()
    assert (done.returncode, done.stderr) == (code, "")
    assert asked == ([] if status is None else ["/readyz"])


def test_healthcheck_asks_where_the_service_listens() -> None:
    """Of all of a machine's addresses its own; `::` is IPv6 alone."""
    address = runpy.run_path(str(SCRIPTS / "healthcheck.py"))["address"]
    hosts = ("", "0.0.0.0", "::", "10.20.0.11", "localhost")  # noqa: S104
    expected = ["127.0.0.1", "127.0.0.1", "::1", "10.20.0.11", "localhost"]
    assert [address(host) for host in hosts] == expected


def test_paths_in_the_image_are_those_that_scripts_write() -> None:
    """Virtual environment and project are copied from where install.sh put them."""
    script = (SCRIPTS / "install.sh").read_text()
    for folder in re.findall(r"COPY --from=\S+ (\S+) \S+", DOCKERFILE):
        assert folder in script
        assert f"{folder}/bin" in DOCKERFILE
    assert Path(SCRIPTS / "install.sh").stat().st_mode & 0o111


def test_label_names_the_projects_version() -> None:
    """What `docker inspect` says of an image is what `pip` says of the project."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"ARG VERSION={version}\n" in DOCKERFILE
