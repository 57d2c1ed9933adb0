"""The small answers, `plc` and `line`: a verdict and an error look alike."""

import pytest

from tests.conftest import Service
from tests.fakes import encode, grey

pytestmark = pytest.mark.anyio

URL = "/v1/detect"
PNG = encode(grey(200))
Query = dict[str, str | int | float]


async def test_the_plc_profile(service: Service) -> None:
    """A verdict and an error look alike, whoever asked in whichever form."""
    query: Query = {"profile": "plc", "part_id": "T\u00fcr-17", "sequence": 5}
    good = await service.client.post(URL, params=query, content=PNG)
    bad = await service.client.post(URL, json=query | {"image": "AAAA"})
    ugly = await service.client.post(URL, params=query | {"threshold": "NaN"}, content=PNG)
    assert [a.status_code for a in (good, bad, ugly)] == [200, 400, 422]
    for answer in (good, bad, ugly):
        assert answer.headers["content-type"] == "application/json"
        assert len(answer.content) <= 512
        assert list(answer.json()) == list(good.json())
        assert (answer.json()["part_id"], answer.json()["sequence"]) == ("T?r-17", 5)
    assert [a.json()["result_code"] for a in (good, bad, ugly)] == [1, 2, 2]


async def test_the_line_profile(service: Service) -> None:
    """One line of text, always with its length."""
    query: Query = {"profile": "line", "part_id": "A-17", "sequence": 17}
    answer = await service.client.post(URL, params=query, content=PNG)
    assert answer.content == b"1;0.7843;0.5000;17;A-17\r\n"
    assert answer.headers["content-type"] == "text/plain; charset=us-ascii"
    assert answer.headers["content-length"] == "25"
    failed = await service.client.post(URL, params=query, content=b"no picture")
    assert (failed.status_code, failed.content) == (400, b"2;0.0000;0.0000;17;A-17\r\n")
