"""What containers of the manifests run."""

import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import cli
from tests.deploy.manifests import containers, pod_specs, serving
from tests.deploy.tools import ROOT


def test_the_jobs_commands_are_ones_that_ssvp_has() -> None:
    """Each container's arguments are understood; --help keeps the command from being run."""
    (pod,) = pod_specs(ROOT / "k8s/overlays/train")
    assert pod["restartPolicy"] == "OnFailure"  # they go on where they were stopped
    for container in containers(pod):
        done = CliRunner().invoke(cli, [*container["args"], "--help"])
        assert done.exit_code == 0, done.output


def _initial_command(overlay: Path, tmp_path: Path, digest: str) -> int:
    pod, _ = serving(overlay)
    (container,) = pod["initContainers"]
    (script,) = container["args"]
    script = script.replace("/bundles", f"{tmp_path}/bundles").replace(
        "/bundle/", f"{tmp_path}/bundle/"
    )
    variables = {"BUNDLE": "it", "BUNDLE_SHA256": digest, "PATH": "/usr/bin:/bin"}
    done: Any = subprocess.run(
        [*container["command"], script], env=variables, capture_output=True, check=False
    )
    return int(done.returncode)


@pytest.mark.parametrize("name", ["k8s/overlays/line", "tests/deploy/overlays/volume"])
def test_a_pod_starts_with_the_named_bundle_only(name: str, tmp_path: Path) -> None:
    """The first container's command accepts the right hash and fails on another bundle."""
    manifest = b'{"name": "it"}'
    for folder in ("bundle", "bundles/it"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "bundle.json").write_bytes(manifest)
    assert _initial_command(ROOT / name, tmp_path, sha256(manifest).hexdigest()) == 0
    assert _initial_command(ROOT / name, tmp_path, sha256(b"another").hexdigest()) != 0
