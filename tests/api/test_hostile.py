"""Hundreds of hostile bodies: each gets its 4xx, soon, and the service is as well afterwards as before."""

import resource
import time

import pytest

from tests.conftest import Service
from tests.fakes import encode, grey
from tests.hostile import hostile_requests
from tests.hostile.request import Hostile

pytestmark = pytest.mark.anyio

ALL = list(hostile_requests())
LIMIT_S = 5.0
MEMORY_BYTES = 400 * 2**20


def test_there_are_enough_of_them() -> None:
    """Each has a name of its own."""
    assert len(ALL) >= 300
    assert len({hostile.name for hostile in ALL}) == len(ALL)


def _peak_bytes() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, about what it is about to refuse
async def test_each_is_refused_in_bounded_time_and_memory(service: Service) -> None:
    """Never a verdict, never a 5xx; what is wrong is named and nothing of the machine is told."""
    wrong: list[str] = []
    before = _peak_bytes()
    for hostile in ALL:
        began = time.perf_counter()
        complaint = await _complaint(service, hostile)
        if time.perf_counter() - began > LIMIT_S:
            complaint = f"took {time.perf_counter() - began:.1f} s"
        if complaint:
            wrong.append(f"{hostile.name}: {complaint}")
    assert not wrong, "\n".join(wrong)
    assert _peak_bytes() - before < MEMORY_BYTES
    fine = await service.client.post("/v1/detect", content=encode(grey(1)))
    assert fine.json()["result"] == "OK"


async def _complaint(service: Service, hostile: Hostile) -> str:
    answer = await service.client.post(
        "/v1/detect",
        params=list(hostile.query),
        content=hostile.body,
        headers={"Content-Type": hostile.content_type},
    )
    if not 400 <= answer.status_code < 500:
        return f"status {answer.status_code}: {answer.text[:200]}"
    # A profile that was asked for in a hostile request is answered in it, or as a problem.
    if answer.json()["result_code"] != 2:
        return answer.text
    if any(text in answer.text for text in ("Traceback", "site-packages", "PIL", "Errno")):
        return f"tells too much: {answer.text}"
    return ""
