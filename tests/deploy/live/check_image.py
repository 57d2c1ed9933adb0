"""The cpu image as one container: without rights, asked, stopped under load. Run by `make deploy-test`."""

import time
from collections.abc import Iterator

import httpx
import pytest

from tests.deploy.live.callers import CALLERS, PICTURES, calling
from tests.deploy.live.conftest import Report
from tests.deploy.live.containers import Container, docker, running
from tests.deploy.tools import ROOT

PORT = 18080


@pytest.fixture(scope="module")
def service() -> Iterator[Container]:
    """A ready container."""
    with running("ssvp-check-image", PORT) as container:
        container.wait_until_ready()
        yield container


def test_container_is_ready_and_healthy(report: Report) -> None:
    """From `docker run` to the first verdict it may give; the image's own check agrees."""
    with running("ssvp-check-start", PORT) as container:
        seconds = container.wait_until_ready()
        report(f"start: ready {seconds:.1f} s after `docker run`")
        container.wait_until_healthy()


def test_process_has_no_rights(service: Container) -> None:
    """A number for a user, no capabilities, nothing to gain, a root folder that cannot be written."""
    status = dict(
        line.split(":\t", 1)
        for line in docker("exec", service.name, "cat", "/proc/1/status").splitlines()
        if ":\t" in line
    )
    assert status["Uid"].split() == ["65532"] * 4
    assert int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert status["Name"].strip() == "ssvp"
    assert service.inspect()["HostConfig"]["ReadonlyRootfs"]


@pytest.mark.parametrize("expected", ["OK", "NG"])
def test_picture_gets_its_verdict(service: Container, expected: str) -> None:
    """The samples of the README, through the published port."""
    answer = httpx.post(
        f"{service.url}/v1/detect", params={"product": "leather"}, content=PICTURES[expected]
    )
    assert answer.status_code == 200
    assert answer.json()["result"] == expected


def test_image_runs_as_any_user() -> None:
    """Clusters that give out user numbers of their own can run it."""
    with running("ssvp-check-user", PORT + 1, "--user=1000700000:0") as container:
        container.wait_until_ready()


def test_sigterm_under_load_loses_no_answer(report: Report) -> None:
    """Whatever the service accepted, its caller got; then it ends with 0."""
    with running("ssvp-check-drain", PORT + 2) as container:
        container.wait_until_ready()
        with calling(container.url, until_refused=True) as seen:
            seen.wait_for(100)
            began = time.monotonic()
            code = container.stop()
            took = time.monotonic() - began
        accepted = container.answered()
    answered = sorted(int(outcome) for outcome in seen.outcomes.elements() if outcome.isdigit())
    report(
        f"SIGTERM under load: ended in {took:.1f} s with {code}; callers saw {dict(seen.outcomes)}"
    )
    assert code == 0
    assert answered == sorted(accepted)
    assert set(answered) <= {200, 503}
    assert not seen.wrong
    # A request that crossed the closing of its idle connection was never read; there is one a caller at most.
    assert seen.outcomes["cut"] <= CALLERS


def test_sigterm_while_it_starts_ends_it() -> None:
    """Its first process has nobody before it that would pass the signal on."""
    with running("ssvp-check-early", PORT + 4) as container:
        time.sleep(0.5)
        assert container.stop() in (0, 143)


def test_another_bundle_is_served_and_a_damaged_one_is_not() -> None:
    """A mounted folder by its path; one changed byte ends the start with a line that says where."""
    bundle = ROOT / "model/bundles/ssvp-nano"
    mount = f"--volume={bundle}:/bundles/other:ro"
    with running("ssvp-check-bundle", PORT + 3, mount, "--env=SSVP_BUNDLE=/bundles/other") as good:
        good.wait_until_ready()
    spoil = f"--volume={ROOT / 'LICENSE'}:/bundles/other/heads.onnx:ro"
    with running(
        "ssvp-check-bundle", PORT + 3, mount, spoil, "--env=SSVP_BUNDLE=/bundles/other"
    ) as bad:
        assert docker("wait", bad.name) == "1"
