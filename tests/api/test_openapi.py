"""`/docs`: the document is complete and its examples work when pasted."""

import re
import shlex

import pytest

from app.api.openapi import DETECT_DESCRIPTION
from tests.conftest import Service

pytestmark = pytest.mark.anyio


async def test_docs_are_served(service: Service) -> None:
    """The page and the document behind it."""
    page = await service.client.get("/docs")
    assert page.status_code == 200
    assert "/openapi.json" in page.text
    files = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(files) == 3  # script, style, icon: all from here, for lines have no internet
    for file in files:
        assert (await service.client.get(file)).status_code == 200
    document = (await service.client.get("/openapi.json")).json()
    assert set(document["paths"]) == {
        "/v1/detect",
        "/v1/detect/batch",
        "/v1/products",
        "/v1/products/{product}",
        "/v1/products/{product}/calibrate",
        "/v1/products/{product}/rollback",
        "/livez",
        "/readyz",
        "/v2/health/live",
        "/v2/health/ready",
        "/metrics",
    }


async def test_the_json_example_works_when_sent_as_it_stands(service: Service) -> None:
    """As "Try it out" sends it."""
    document = (await service.client.get("/openapi.json")).json()
    operation = document["paths"]["/v1/detect"]["post"]
    example = operation["requestBody"]["content"]["application/json"]["example"]
    answer = await service.client.post("/v1/detect", json=example)
    assert answer.status_code == 200, answer.text
    for name in example.keys() - {"image"}:
        assert answer.json()[name] == example[name]


async def test_the_shown_curl_with_json_works(service: Service) -> None:
    """The command line is parsed as a shell would, and sent as curl would: as a form, which it is not."""
    (line,) = re.findall(r"^ +(curl -d .*\"image\":.*)$", DETECT_DESCRIPTION, re.MULTILINE)
    words = shlex.split(line)
    answer = await service.client.post(
        "/v1/detect",
        content=words[words.index("-d") + 1],
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert answer.status_code == 200, answer.text


async def test_every_documented_problem_is_one(service: Service) -> None:
    """Each status shows an example with result_code 2."""
    document = (await service.client.get("/openapi.json")).json()
    responses = document["paths"]["/v1/detect"]["post"]["responses"]
    assert set(responses) == {
        "200",
        "400",
        "401",
        "403",
        "404",
        "408",
        "413",
        "415",
        "422",
        "429",
        "431",
        "500",
        "503",
        "504",
    }
    for status, response in responses.items():
        if status != "200":
            examples = response["content"]["application/problem+json"]["examples"]
            assert examples
            for example in examples.values():
                assert example["value"]["status"] == int(status)
                assert example["value"]["result_code"] == 2


async def test_headers_that_are_too_large_are_shown_without_small_answers(service: Service) -> None:
    """No profile is read of them; every other status has causes that are found later."""
    document = (await service.client.get("/openapi.json")).json()
    for path in ("/v1/detect", "/v1/detect/batch", "/v1/products/{product}/calibrate"):
        responses = document["paths"][path]["post"]["responses"]
        for status, response in responses.items():
            small = {"application/json", "text/plain"} if status != "431" else set()
            if status != "200":
                assert set(response["content"]) - {"application/problem+json"} == small, status


async def test_a_verdict_is_shown_in_each_answer_profile(service: Service) -> None:
    """One of two objects, neither bound by the other's schema, or a line of text."""
    document = (await service.client.get("/openapi.json")).json()
    content = document["paths"]["/v1/detect"]["post"]["responses"]["200"]["content"]
    shown = content["application/json"]["schema"]
    assert shown["anyOf"] == [
        {"$ref": "#/components/schemas/Answer"},
        {"$ref": "#/components/schemas/SmallAnswer"},
    ]
    assert "$ref" not in shown
    assert content["text/plain"]["schema"]["type"] == "string"
