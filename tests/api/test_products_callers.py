"""`/v1/products` and who calls it: other sites' pages, odd encodings, many engineers at once."""

import asyncio
import os
import sys
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from app.engine.calibrator import AT_ONCE, MOST_CALIBRATIONS
from app.main import BODIES_AT_ONCE, CALIBRATIONS_AT_ONCE
from app.settings import Settings
from tests.conftest import Service, serving, until
from tests.fakes import FakeRuntime, encode, grey
from tests.products import GOOD, NUT, detect, form, scores

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://elsewhere.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://["}, 403),
        ({"origin": "http://ssvp:81"}, 403),
        ({"origin": "http://ssvp", "sec-fetch-site": "cross-site"}, 403),
        ({"origin": "http://ssvp", "sec-fetch-site": "same-site"}, 403),
        ({"origin": "http://ssvp"}, 200),
        ({"origin": "http://ssvp", "host": "SSVP"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"origin": "https://proxy", "sec-fetch-site": "same-origin"}, 200),
        ({}, 200),
    ],
)
async def test_pages_of_other_sites_change_no_threshold(
    kept: Service, headers: dict[str, str], status: int
) -> None:
    """A browser would send such a request for any page an engineer opens, and ask nobody."""
    await kept.client.post(f"{NUT}/calibrate", json=scores(GOOD))
    for path, body in (("rollback", {"version": 0}), ("calibrate", scores(GOOD))):
        answer = await kept.client.post(f"{NUT}/{path}", json=body, headers=headers)
        assert answer.status_code == status, answer.text
        if status == 403:
            assert answer.json()["code"] == "other_site"
    assert (await kept.client.get(NUT, headers=headers)).status_code == 200


@pytest.mark.parametrize(("keys", "status"), [("", 200), (f"line3:{'k' * 16}\n", 401)])
async def test_a_page_whose_name_was_pointed_here_is_stopped_by_keys_alone(
    tmp_path: Path, keys: str, status: int
) -> None:
    """A browser takes it for the service's own page, but has no key for it (DNS rebinding)."""
    chosen = Settings()
    if keys:
        (tmp_path / "keys").write_text(keys)
        chosen = Settings(api_keys_file=tmp_path / "keys")
    headers = {"host": "evil.example:8080", "origin": "http://evil.example:8080"}
    async with serving(settings=chosen) as service:
        answer = await service.client.post(
            f"{NUT}/calibrate",
            json=scores(GOOD),
            headers=headers | {"sec-fetch-site": "same-origin"},
        )
    assert answer.status_code == status


async def test_a_name_that_is_not_utf8_is_refused_not_mistaken(kept: Service) -> None:
    """Latin-1's ue and ae would both become one name, and so share a threshold, or have none."""
    for path in ("/v1/detect?product=h%FClse", "/v1/detect/batch?product=h%E4lse"):
        answer = await kept.client.post(path, content=encode(grey(67)))
        assert (answer.status_code, answer.json()["code"]) == (422, "parameter_invalid")
        assert "%C3%BC" in answer.json()["detail"]
    line = await kept.client.post("/v1/detect?profile=line&sequence=7&product=%FC", content=b"x")
    assert line.content == b"2;0.0000;0.0000;7;\r\n"
    for path in ("calibrate", "rollback"):
        answer = await kept.client.post(f"/v1/products/h%FClse/{path}", json=scores(GOOD))
        assert (answer.status_code, answer.json()["code"]) == (422, "parameter_invalid")
    assert (await kept.client.get("/v1/products/h%FClse")).status_code == 422
    good = await kept.client.post("/v1/products/h%C3%BClse/calibrate", json=scores(GOOD))
    assert good.json()["profile"]["product"] == "h\u00fclse"


async def test_a_name_of_nothing_but_blanks_is_refused(kept: Service) -> None:
    """Of any kind that Python knows, for no product is left of it; a line feed is in no route's path."""
    blanks = {char for char in map(chr, range(sys.maxunicode + 1)) if char.isspace()}
    for blank in blanks - {"\n"}:
        url = f"/v1/products/{quote(2 * blank)}/calibrate"
        answer = await kept.client.post(url, json=scores(GOOD))
        assert (answer.status_code, answer.json()["code"]) == (422, "parameter_invalid"), url


@pytest.mark.parametrize(("length", "status"), [(128, 200), (129, 422)])
async def test_a_products_name_has_128_characters_at_most(
    kept: Service, length: int, status: int
) -> None:
    """In the path as in the query."""
    url = f"/v1/products/{'x' * length}/calibrate"
    assert (await kept.client.post(url, json=scores(GOOD))).status_code == status


async def test_what_is_wrong_with_a_name_in_the_path_is_said(kept: Service) -> None:
    """`/v1/products/` is how some write the list."""
    answer = await kept.client.get("/v1/products/")
    assert answer.status_code == 422
    assert answer.json()["detail"] == "product: String should have at least 1 character"


@pytest.mark.parametrize("name", ["other", "%20Other"])
async def test_the_name_of_all_products_without_a_profile_is_refused(
    kept: Service, name: str
) -> None:
    """Its verdicts and scores would be counted with theirs."""
    answer = await kept.client.post(f"/v1/products/{name}/calibrate", json=scores(GOOD))
    assert (answer.status_code, answer.json()["code"]) == (422, "parameter_invalid")
    assert "choose another name" in answer.json()["detail"]
    assert (await kept.client.get("/v1/products")).json()["products"] == []


async def test_a_file_name_of_no_encoding_is_written_as_it_can_be(
    kept: Service, settings: Settings
) -> None:
    """Names on a disk are bytes: the profile is saved and the answer says so."""
    for level in GOOD:
        name = os.fsdecode(b"caf\xe9%d.png" % level)
        (settings.image_roots[0] / name).write_bytes(encode(grey(level)))
    body = {"image_path": "caf*.png", "false_reject": 0.05}
    answer = await kept.client.post(f"{NUT}/calibrate", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["saved"] is True
    assert answer.json()["scores"][0]["name"] == "caf\ufffd50.png"


async def test_calibrations_leave_the_line_its_places() -> None:
    """As many at once as there are places: two pictures take some, the line has the rest.

    Eight calibrations wait with their pictures in memory, the others are refused.
    """
    runtime = FakeRuntime()
    async with serving(runtime, settings=Settings(queue_size=12, max_batch=1)) as service:
        runtime.gate.clear()
        tasks = [
            asyncio.create_task(
                service.client.post(
                    f"{NUT}/calibrate", params={"false_reject": 0.05}, files=form(GOOD)
                )
            )
            for _ in range(13)
        ]
        refused = 13 - MOST_CALIBRATIONS
        await until(lambda: sum(task.done() for task in tasks) == refused)
        await until(lambda: service.engine.snapshot().inflight == AT_ONCE)
        part = asyncio.create_task(detect(service))
        await until(lambda: service.engine.snapshot().inflight == AT_ONCE + 1)
        runtime.gate.set()
        assert (await part)["result"] in ("OK", "NG")
        answers = [await task for task in tasks]
    assert [a.status_code for a in answers].count(200) == MOST_CALIBRATIONS
    assert {a.json()["code"] for a in answers if a.status_code != 200} == {"queue_full"}


async def test_waiting_calibrations_leave_the_line_room_for_its_pictures() -> None:
    """Two of the largest size may be under way, a third is refused; the line has all of its own room."""
    url = f"{NUT}/calibrate?false_reject=0.05"
    size = len(httpx.Request("POST", "http://ssvp", files=form(GOOD)).read())
    picture = encode(grey(200)).ljust(size, b"\0")
    runtime = FakeRuntime()
    async with serving(runtime, settings=Settings(max_body_bytes=size)) as service:
        runtime.gate.clear()
        calibrations = [
            asyncio.create_task(service.client.post(url, files=form(GOOD))) for _ in range(9)
        ]
        await until(lambda: sum(task.done() for task in calibrations) == 7)
        parts = [
            asyncio.create_task(service.client.post("/v1/detect", content=picture))
            for _ in range(BODIES_AT_ONCE)
        ]
        await until(lambda: service.engine.snapshot().inflight == AT_ONCE + BODIES_AT_ONCE)
        runtime.gate.set()
        assert {(await part).status_code for part in parts} == {200}
        answered = sorted([(await task).status_code for task in calibrations])
        assert answered == [200] * CALIBRATIONS_AT_ONCE + [503] * 7
