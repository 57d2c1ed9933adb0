"""Two containers behind HAProxy: one replaced, killed, cut off, under load. Run by `make deploy-test`."""

import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from tests.deploy.live.callers import CALLERS, calling
from tests.deploy.live.conftest import Report
from tests.deploy.live.containers import docker, running, start
from tests.deploy.tools import ROOT

PROXY, A, B = 18090, 18091, 18092
PATIENCE_S = 12  # haproxy.cfg's `timeout server`


@pytest.fixture
def line() -> Iterator[str]:
    """The address of two ready containers."""
    with ExitStack() as stack:
        for name, port in (("ssvp-check-a", A), ("ssvp-check-b", B)):
            stack.enter_context(running(name, port)).wait_until_ready()
        yield stack.enter_context(_proxied(f"127.0.0.1:{A}", f"127.0.0.1:{B}"))


@contextmanager
def _proxied(a: str, b: str) -> Iterator[str]:
    addresses = {"HAPROXY_BIND": f"127.0.0.1:{PROXY}", "REPLICA_A": a, "REPLICA_B": b}
    config = ROOT / "docker/haproxy/haproxy.cfg"
    proxy = subprocess.Popen(["haproxy", "-db", "-f", config], env=os.environ | addresses)
    url = f"http://127.0.0.1:{PROXY}"
    try:
        _wait_for_proxy(url)
        yield url
    finally:
        proxy.terminate()
        proxy.wait()


def _wait_for_proxy(url: str) -> None:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail("HAProxy does not answer")


def _back_in_line() -> None:
    time.sleep(2)  # two checks of HAProxy's, half a second each, and a little


def test_callers_do_not_notice_a_replacement(line: str, report: Report) -> None:
    """One after the other both containers are stopped and started anew: every call gets its verdict."""
    with calling(line) as seen:
        seen.wait_for(100)
        for name, port in (("ssvp-check-a", A), ("ssvp-check-b", B)):
            docker("stop", "--time=30", name)
            start(name, port).wait_until_ready()
            _back_in_line()
    report(
        f"both replaced behind HAProxy: callers saw {dict(seen.outcomes)}, slowest {seen.slowest_s:.1f} s"
    )
    assert set(seen.outcomes) == {"200"}
    assert not seen.wrong


def test_callers_get_verdicts_when_a_container_dies(line: str, report: Report) -> None:
    """kill -9 in the middle of the load, again and again: what it had in work is done by the other."""
    killed = Counter[str]()
    with calling(line) as seen:
        for _ in range(3):
            seen.wait_for(60)
            before = Counter(seen.outcomes)
            docker("kill", "--signal=KILL", "ssvp-check-b")
            seen.wait_for(60)
            killed += seen.since(before)
            start("ssvp-check-b", B).wait_until_ready()
            _back_in_line()
    report(
        f"kill -9 three times behind HAProxy: callers saw {dict(seen.outcomes)}, slowest {seen.slowest_s:.1f} s"
    )
    assert not seen.wrong
    # An answer that was cut while it was written cannot be taken back: one a caller and kill at most.
    assert killed.total() - killed["200"] <= 3 * CALLERS
    assert set(seen.outcomes) <= {"200", "502"}


def test_callers_of_a_lost_node_wait_and_the_others_go_on(report: Report) -> None:
    """A network that is gone closes no connection: its calls end with HAProxy's patience, others elsewhere."""
    with ExitStack() as stack:
        first = stack.enter_context(running("ssvp-check-a", A))
        lost = stack.enter_context(running("ssvp-check-b", B))
        for container in (first, lost):
            container.wait_until_ready()
        # Docker's own forwarding would close the connections.
        url = stack.enter_context(_proxied(f"{first.address}:8080", f"{lost.address}:8080"))
        with calling(url) as seen:
            seen.wait_for(100)
            docker("network", "disconnect", "bridge", lost.name)
            time.sleep(PATIENCE_S + 3)
            seen.wait_for(60)
    report(
        f"node lost behind HAProxy: callers saw {dict(seen.outcomes)}, slowest 200 {seen.slowest_s:.1f} s"
    )
    assert set(seen.outcomes) <= {"200", "504"}
    assert 0 < seen.outcomes["504"] <= CALLERS
    assert not seen.wrong


def test_without_a_proxy_a_dead_container_is_noticed(report: Report) -> None:
    """Callers that know one address see broken connections, and nothing that looks like a verdict."""
    with running("ssvp-check-b", B) as container:
        container.wait_until_ready()
        with calling(container.url, until_refused=True) as seen:
            seen.wait_for(60)
            docker("kill", "--signal=KILL", container.name)
    report(f"kill -9 without a proxy: callers saw {dict(seen.outcomes)}")
    assert set(seen.outcomes) <= {"200", "cut", "refused"}
    assert not seen.wrong
