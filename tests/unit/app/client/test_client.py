"""The Python client against the application in process: what it sends, what it makes of answers."""

import io
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from pydantic import BaseModel

from app.api import product_schemas, schemas
from app.client import (
    AsyncSSVPClient,
    GoodScore,
    Inspection,
    PartProblem,
    RequestRefusedError,
    UnreadableAnswerError,
    answers,
)
from app.main import create_app
from app.products.profile import ProductProfile
from app.settings import Settings
from tests.conftest import until
from tests.fakes import DIGEST, FakeRuntime, encode, grey

pytestmark = pytest.mark.anyio
KEY = "0123456789abcdef"


@pytest.fixture
async def client(tmp_path: Path, anyio_backend: str) -> AsyncIterator[AsyncSSVPClient]:
    """A client of a service that asks for a key, keeps profiles and reads files."""
    (tmp_path / "keys").write_text(f"line3:{KEY}\n")
    (tmp_path / "images").mkdir()
    settings = Settings(
        products_file=tmp_path / "products.json",
        image_roots=(tmp_path / "images",),
        api_keys_file=tmp_path / "keys",
    )
    app = create_app(settings, FakeRuntime())
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        AsyncSSVPClient("http://ssvp", api_key=KEY, transport=transport) as client,
    ):
        await until(lambda: app.state.engine.snapshot().state == "ready")
        yield client


async def test_a_picture_is_inspected_whatever_holds_it(
    client: AsyncSSVPClient, tmp_path: Path
) -> None:
    """Bytes, a path, an open file, a path on the service's side: one verdict."""
    picture = encode(grey(200))
    path = tmp_path / "images" / "part.png"
    path.write_bytes(picture)
    with path.open("rb") as file:
        found = [
            await client.detect(picture),
            await client.detect(path),
            await client.detect(str(path)),
            await client.detect(file),
            await client.detect(io.BytesIO(picture)),
            await client.detect(image_path="part.png"),
        ]
    assert {f.score for f in found} == {0.7843}
    assert not any(f.ok for f in found)


async def test_every_option_reaches_the_service(client: AsyncSSVPClient) -> None:
    """What was asked for stands in the answer; the heat map comes as a file's bytes."""
    found = await client.detect(
        encode(grey(200)),
        product="metal nut",
        part_id="A-17",
        sequence=17,
        threshold=0.9,
        heatmap="mask",
        heatmap_format="jpeg",
        heatmap_size=16,
        roi=(4, 2, 20, 10),
        deadline_ms=5000,
    )
    assert (found.product, found.part_id, found.sequence) == ("metal nut", "A-17", 17)
    assert (found.result, found.ok) == ("OK", True)
    assert (found.threshold, found.threshold_source) == (0.9, "request")
    assert found.heatmap is not None
    assert (found.heatmap.kind, found.heatmap.suffix) == ("mask", ".jpg")
    assert max(found.heatmap.width, found.heatmap.height) == 16
    assert found.heatmap.data.startswith(b"\xff\xd8")
    assert found.model.digest == DIGEST


async def test_a_batch_keeps_its_order_and_its_errors(client: AsyncSSVPClient) -> None:
    """One result an image; the error of one image is that which it would have raised alone."""
    good, bad, none = await client.detect_batch([encode(grey(20)), encode(grey(250)), b"text"])
    assert isinstance(good, Inspection)
    assert isinstance(bad, Inspection)
    assert isinstance(none, PartProblem)
    assert (good.ok, bad.ok, none.ok) == (True, False, False)
    error = none.error()
    assert isinstance(error, RequestRefusedError)
    assert (error.code, error.status) == ("image_unrecognised", 400)


async def test_a_product_is_calibrated_decides_and_is_rolled_back(client: AsyncSSVPClient) -> None:
    """From pictures, then from scores; its name may hold what a path may not."""
    name = "nut M6/8 50%"
    good = [encode(grey(50 + i)) for i in range(19)]
    made = await client.calibrate(name, good, false_reject=0.05)
    assert (made.saved, made.profile.version, made.profile.n) == (True, 1, 19)
    scores = [GoodScore(name=f"{i}", score=0.3 + i / 100) for i in range(19)]
    again = await client.calibrate(name, scores=scores, digest=DIGEST, false_reject=0.05)
    assert (again.profile.version, again.profile.threshold) == (2, 0.4801)
    assert json.loads(again.text)["products"]
    found = await client.detect(good[0], product=name)
    assert (found.threshold, found.threshold_source, found.profile_version) == (
        0.4801,
        "profile",
        2,
    )
    assert (await client.rollback(name)).current == 1
    assert (await client.rollback(name, 0)).current is None
    assert len((await client.product(name)).history) == 2
    listed = await client.products()
    assert [p.versions for p in listed.products] == [(1, 2)]
    assert listed.writable


async def test_a_dry_run_saves_nothing(client: AsyncSSVPClient) -> None:
    """The profile comes back all the same; true is written as JSON and as a query have it."""
    good = [encode(grey(50 + i)) for i in range(19)]
    scores = [GoodScore(name="", score=i / 100) for i in range(19)]
    for made in (
        await client.calibrate("nut", good, false_reject=0.05, dry_run=True, roi="1,1,20,20"),
        await client.calibrate(
            "nut", scores=scores, digest=DIGEST, false_reject=0.05, dry_run=True
        ),
    ):
        assert (made.saved, made.reason) == (False, "dry run")
    assert not (await client.products()).products


async def test_a_refusal_says_what_the_service_said(client: AsyncSSVPClient) -> None:
    """Code, status, the problem's own members."""
    with pytest.raises(RequestRefusedError, match="metal") as caught:
        await client.product("metal nut")
    assert (caught.value.code, caught.value.status) == ("product_unknown", 404)
    assert caught.value.request_id
    with pytest.raises(RequestRefusedError) as caught:
        await client.calibrate("nut", [encode(grey(9))])
    assert caught.value.problem["needed"] == 199


async def test_readiness_is_an_answer(client: AsyncSSVPClient) -> None:
    """No error either way."""
    assert (await client.ready()).ready


async def test_what_makes_no_sense_is_not_sent(client: AsyncSSVPClient) -> None:
    """Two pictures at once, none, three forms of a calibration, a deadline that has passed."""
    with pytest.raises(ValueError, match="one of them"):
        await client.detect()
    with pytest.raises(ValueError, match="one of them"):
        await client.detect(b"x", image_path="part.png")
    with pytest.raises(ValueError, match="one of them"):
        await client.calibrate("nut", [b"x"], image_path="*.png")
    with pytest.raises(ValueError, match="deadline_ms"):
        await client.detect(b"x", deadline_ms=0)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{}", b'{"result": "OK"}', b"[]", b"null"], ids=repr
)
async def test_a_200_that_is_no_verdict_is_never_ok(body: bytes) -> None:
    """A captive portal's page, another program on the port: an error, not a pass."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=body))
    async with AsyncSSVPClient("http://ssvp", transport=transport) as client:
        with pytest.raises(UnreadableAnswerError):
            await client.detect(b"x")


async def test_a_body_that_cannot_be_decompressed_is_no_answer() -> None:
    """A broken proxy: an error of the client, not of the library below it."""
    stream = httpx.ByteStream(b"no gzip")
    answer = httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=stream)
    transport = httpx.MockTransport(lambda _: answer)
    async with AsyncSSVPClient("http://ssvp", transport=transport) as client:
        with pytest.raises(UnreadableAnswerError, match="compressed") as caught:
            await client.detect(b"x")
    assert caught.value.code == "unreadable"


@pytest.mark.parametrize(("result", "code"), [("OK", 1), ("NG", 0)])
async def test_a_verdict_that_contradicts_itself_is_never_ok(
    client: AsyncSSVPClient, result: str, code: int
) -> None:
    """A part may pass where both the word and the number say so."""
    found = await client.detect(encode(grey(20)))
    assert found.ok
    said = {**found.model_dump(mode="json"), "result": result, "result_code": code}
    assert not Inspection.model_validate_json(json.dumps(said)).ok


@pytest.mark.parametrize("results", [0, 1, 3])
async def test_a_batch_with_a_result_too_few_or_too_many_is_no_answer(
    client: AsyncSSVPClient, results: int
) -> None:
    """Whose verdict is missing nobody could tell, and the last part would pass unseen."""
    answer = (await client.detect_batch([encode(grey(20))] * max(1, results)))[:results]
    said = {"request_id": "r", "results": [r.model_dump(mode="json") for r in answer]}
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=said))
    async with AsyncSSVPClient("http://ssvp", transport=transport) as told:
        with pytest.raises(UnreadableAnswerError, match="2 images were sent"):
            await told.detect_batch([b"x", b"y"])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (answers.Inspection, schemas.Answer),
        (answers.Region, schemas.RegionAnswer),
        (answers.Heatmap, schemas.HeatmapAnswer),
        (answers.Model, schemas.ModelAnswer),
        (answers.Timing, schemas.TimingAnswer),
        (answers.Calibration, product_schemas.CalibrationAnswer),
        (answers.ProductProfile, ProductProfile),
        (answers.Product, product_schemas.ProductAnswer),
        (answers.Products, product_schemas.ProductsAnswer),
        (answers.ProductHistory, product_schemas.HistoryAnswer),
        (answers.Readiness, schemas.Health),
    ],
    ids=lambda kind: kind.__name__,
)
def test_the_clients_answers_are_the_services(
    ours: type[BaseModel], theirs: type[BaseModel]
) -> None:
    """The same members, in the same order."""
    assert list(ours.model_fields) == list(theirs.model_fields)


def test_the_client_imports_nothing_heavy() -> None:
    """A camera PC needs neither torch nor the engine."""
    code = (
        "import sys, app.client; heavy = {'torch', 'numpy', 'onnxruntime', 'PIL', 'fastapi', 'typer'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
