"""Callers without a pause, and what they saw: each call ends once, in an answer or in a broken connection."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from tests.deploy.tools import ROOT

PICTURES = {
    "NG": (ROOT / "docs/samples/leather-hole.png").read_bytes(),
    "OK": (ROOT / "docs/samples/leather-good.png").read_bytes(),
}
CALLERS = 8


@dataclass
class Seen:
    """What the callers saw.

    Attributes:
        outcomes: how often each: a status; `cut`, none on a connection that had given some before; `refused`,
            none on a new one: nobody listens behind the published port.
        wrong: answers that belong to another call.
        slowest_s: the longest wait for a 200.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, outcome: str, seconds: float = 0.0) -> None:
        """Count one call."""
        with self._lock:
            self.outcomes[outcome] += 1
            if outcome == "200":
                self.slowest_s = max(self.slowest_s, seconds)

    def since(self, before: Counter[str]) -> Counter[str]:
        """Return what came after an earlier count."""
        return Counter(self.outcomes) - before

    def wait_for(self, more: int) -> None:
        """Wait for so many more calls."""
        end, target = time.monotonic() + 60, self.outcomes.total() + more
        while self.outcomes.total() < target:
            assert time.monotonic() < end, "the callers stand still"
            time.sleep(0.02)


@contextmanager
def calling(url: str, *, until_refused: bool = False) -> Iterator[Seen]:
    """Let callers call until the block ends, or until nobody listens any more."""
    seen, stopped = Seen(), threading.Event()
    threads = [
        threading.Thread(target=_call, args=(url, number, seen, stopped, until_refused))
        for number in range(CALLERS)
    ]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        stopped.set()
        for thread in threads:
            thread.join()


def _call(url: str, number: int, seen: Seen, stopped: threading.Event, until_refused: bool) -> None:
    part, fresh = 0, True
    with httpx.Client(base_url=url, timeout=30) as client:
        while not stopped.is_set():
            part += 1
            expected = "NG" if part % 2 else "OK"
            query = {"part_id": f"{number}-{part}", "profile": "plc", "product": "leather"}
            began = time.monotonic()
            try:
                answer = client.post("/v1/detect", params=query, content=PICTURES[expected])
            except httpx.TransportError as error:
                refused = fresh or isinstance(error, httpx.ConnectError)
                seen.add("refused" if refused else "cut")
                if refused and until_refused:
                    return
                fresh = True
                time.sleep(0.05)
                continue
            fresh = False
            seen.add(str(answer.status_code), time.monotonic() - began)
            if answer.status_code == httpx.codes.OK:
                found = answer.json()
                if (found["part_id"], found["result"]) != (query["part_id"], expected):
                    seen.wrong.append(answer.text)
