"""API keys: who may ask for inspections, and how often.

Knows keys and the clock; knows nothing of what is asked. Keys are compared by their digests, all of them each
time, so that the time taken says nothing about any of them.
"""

import hashlib
import hmac
import math
import time
from collections.abc import Callable, Collection
from pathlib import Path

from app.errors import KeyMissingError, KeyWrongError, RateLimitError, StartError

MIN_KEY_LENGTH = 16


class ApiKeys:
    """The keys of one file; none are asked for where there is no file.

    Args:
        path: one `name:key` a line; blank lines and those that begin with # are skipped. None: all may ask.
        rate_per_s: inspections a second for each key, with bursts of as many as one second's; 0 is no limit.
        clock: seconds from anywhere, for tests.

    Raises:
        StartError: the file cannot be read, or a line makes no sense; keys are never quoted.
    """

    def __init__(
        self,
        path: Path | None,
        rate_per_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._names = None if path is None else _read_keys(path)
        self._rate, self._clock = rate_per_s, clock
        self._burst = max(1.0, rate_per_s)
        self._budgets: dict[str, tuple[float, float]] = {}  # name: (inspections left, as of when)

    def identify(self, given: Collection[str]) -> str:
        """Return the name of the key that a request brought; empty where no keys are asked for.

        Args:
            given: the different keys that it brought.

        Raises:
            KeyMissingError: no key was given.
            KeyWrongError: it is none of ours, or there are two.
        """
        if self._names is None:
            return ""
        if not given:
            raise KeyMissingError("send `Authorization: Bearer <key>` or `X-API-Key: <key>`")
        if len(given) > 1:
            raise KeyWrongError("two different keys were sent")
        (key,) = given
        digest = _digest(key)
        found = [name for known, name in self._names.items() if hmac.compare_digest(known, digest)]
        if not found:
            raise KeyWrongError("this key is not known")
        return found[0]

    def admit(self, name: str) -> None:
        """Take one inspection from the budget of a key, by its name.

        Raises:
            RateLimitError: it has been used too often within the last second.
        """
        self._spend(name, 1, needed=1)

    def spend_more(self, name: str, inspections: int) -> None:
        """Take what a request costs beyond the one inspection that `admit` took.

        More at once than the largest budget need a full one, and are paid for afterwards.

        Raises:
            RateLimitError: there is less left. After the wait it names, the same request is let in.
        """
        self._spend(name, inspections, min(self._burst - 1, inspections), again=1)

    def _spend(self, name: str, inspections: int, needed: float, again: int = 0) -> None:
        """Take inspections from a key's budget if it holds as many as needed; `again`: what a retry adds."""
        if not self._rate or not name:
            return
        now = self._clock()
        left, since = self._budgets.get(name, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._rate)
        allowed = left >= needed
        self._budgets[name] = (left - inspections if allowed else left, now)
        if not allowed:
            raise RateLimitError(
                f"at most {self._rate:g} inspections per second are allowed",
                retry_after_s=math.ceil((needed + again - left) / self._rate),
            )


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _read_keys(path: Path) -> dict[bytes, str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(f"API keys: {path} cannot be read") from error
    names: dict[bytes, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, _, key = (part.strip() for part in line.partition(":"))
        if not name or len(key) < MIN_KEY_LENGTH or not key.isascii():
            raise StartError(
                f"API keys: {path}, line {number}: write `name:key` with {MIN_KEY_LENGTH} ASCII characters "
                "or more in the key"
            )
        if name in names.values() or _digest(key) in names:
            raise StartError(
                f"API keys: {path}, line {number}: this name or key is in the file twice"
            )
        names[_digest(key)] = name
    if not names:
        raise StartError(f"API keys: {path} contains no key")
    return names
