"""`/v1/products` in process: calibrate, decide by it, go back, and never by another bundle's profile."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from app.errors import DeviceLostError
from app.settings import Settings
from tests.conftest import Service, serving, until
from tests.fakes import DIGEST, FakeRuntime, encode, grey
from tests.products import CALIBRATED, GOOD, NUT, detect, form, scores

pytestmark = pytest.mark.anyio


async def test_a_product_calibrated_on_its_good_parts_decides_by_them(kept: Service) -> None:
    """From the pictures to the verdict, its source and version; other products keep the bundle's threshold."""
    answer = await kept.client.post(
        f"{NUT}/calibrate", params={"false_reject": 0.05}, files=form(GOOD)
    )
    assert answer.status_code == 200, answer.text
    found = answer.json()
    profile = found["profile"]
    assert (profile["product"], profile["version"], profile["n"]) == ("Metal Nut", 1, 19)
    assert (profile["threshold"], profile["false_reject"]) == (CALIBRATED, 0.05)
    assert profile["bundle"] == {"name": "fake", "version": "1.2.3", "digest": DIGEST}
    assert (found["saved"], found["reason"], found["needed"]) == (True, None, 19)
    assert [score["name"] for score in found["scores"]] == [f"{level}.png" for level in GOOD]
    assert found["scores"][3]["score"] == pytest.approx(53 / 255, abs=1e-3)
    good, bad = await detect(kept, 68), await detect(kept, 69)
    for verdict, result in ((good, "OK"), (bad, "NG")):
        assert (verdict["result"], verdict["threshold"]) == (result, CALIBRATED)
        assert (verdict["threshold_source"], verdict["profile_version"]) == ("profile", 1)
        assert verdict["warnings"] == []
    asked = await detect(kept, 69, threshold=0.9)
    assert (asked["threshold_source"], asked["profile_version"]) == ("request", None)
    other = await detect(kept, 69, product="cable")
    assert (other["threshold_source"], other["profile_version"]) == ("bundle", None)


async def test_scores_and_pictures_give_the_same_profile(kept: Service, settings: Settings) -> None:
    """By picture, by pattern and by scores of /v1/detect; metrics and small answers follow."""
    for level in GOOD:
        (settings.image_roots[0] / f"{level}.png").write_bytes(encode(grey(level)))
    sent = await kept.client.post(
        f"{NUT}/calibrate", data={"false_reject": "0.05"}, files=form(GOOD)
    )
    body = {"image_path": "*.png", "false_reject": 0.05}
    found = await kept.client.post(f"{NUT}/calibrate", json=body)
    given = await kept.client.post(f"{NUT}/calibrate", json=scores(GOOD))
    assert {r.json()["profile"]["threshold"] for r in (sent, found, given)} == {CALIBRATED}
    assert [r.json()["profile"]["version"] for r in (sent, found, given)] == [1, 2, 3]
    assert found.json()["scores"][0]["name"] == "50.png"
    await detect(kept)
    text = (await kept.client.get("/metrics")).text
    assert 'ssvp_verdicts_total{product="metal nut",result="OK"} 1.0' in text
    assert 'ssvp_profile_stale{product="metal nut"} 0.0' in text
    params = {"product": "metal nut", "profile": "plc"}
    small = await kept.client.post("/v1/detect", params=params, content=encode(grey(67)))
    assert f'"threshold":{CALIBRATED:.4f}' in small.text
    assert len(small.content) <= 512


async def test_what_is_kept_can_be_listed_and_gone_back_from(kept: Service) -> None:
    """List, history, rollback to the version before and to none."""
    for levels in (GOOD, [level + 50 for level in GOOD]):
        await kept.client.post(f"{NUT}/calibrate", json=scores(levels))
    listed = (await kept.client.get("/v1/products")).json()
    (product,) = listed["products"]
    assert listed["writable"] is True
    assert listed["bundle"] == {"name": "fake", "version": "1.2.3", "digest": DIGEST}
    assert (product["product"], product["versions"], product["usable"]) == (
        "metal nut",
        [1, 2],
        True,
    )
    assert (product["current"]["version"], product["reason"]) == (2, None)
    back = (await kept.client.post(f"{NUT}/rollback")).json()
    assert (back["product"], back["current"], len(back["history"])) == ("metal nut", 1, 2)
    assert (await kept.client.get(NUT)).json() == back
    assert (await detect(kept))["profile_version"] == 1
    assert (await kept.client.post(f"{NUT}/rollback", json={"version": None})).status_code == 409
    none = (await kept.client.post(f"{NUT}/rollback", json={"version": 0})).json()
    assert none["current"] is None
    assert (await detect(kept))["threshold_source"] == "bundle"
    (product,) = (await kept.client.get("/v1/products")).json()["products"]
    assert (product["current"], product["usable"]) == (None, False)


async def _problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    found: dict[str, Any] = answer.json()
    assert (answer.status_code, found["code"]) == (status, code), answer.text
    assert found["result_code"] == 2
    return found


async def test_what_cannot_be_calibrated_is_said(kept: Service) -> None:
    """Too few, a broken picture among good ones, scores of another bundle; nothing is saved of any."""
    url = f"{NUT}/calibrate"
    few = await kept.client.post(url, files=form(GOOD))
    found = await _problem(few, 422, "calibration_too_few")
    assert found["needed"] == 199
    assert "199" in found["detail"]
    broken = [*form(GOOD), ("image", ("torn.png", encode(grey(1))[:40]))]
    found = await _problem(await kept.client.post(url, files=broken), 422, "calibration_image")
    assert found["detail"].startswith("torn.png: ")
    other = {**scores(GOOD), "digest": "f" * 64}
    await _problem(await kept.client.post(url, json=other), 409, "bundle_changed")
    top = {**scores([255] * 19)}
    await _problem(await kept.client.post(url, json=top), 422, "calibration_saturated")
    for body in (
        {"scores": scores(GOOD)["scores"]},
        {**scores(GOOD), "image_path": "*.png"},
        {"image_path": "*.png", "digest": DIGEST},
        {"false_reject": 0},
        {"false_reject": True},
        {"scores": [{"name": "a", "score": 2}], "digest": DIGEST},
        {"scores": [{"name": "a", "score": 0.1, "score_": 0.2}], "digest": DIGEST},
        {"treshold": 1},
    ):
        await _problem(await kept.client.post(url, json=body), 422, "parameter_invalid")
    await _problem(await kept.client.post(url), 400, "image_missing")
    await _problem(
        await kept.client.post(url, json={"image_path": "../*"}), 404, "image_path_unknown"
    )
    await _problem(await kept.client.get(NUT), 404, "product_unknown")
    assert (await kept.client.get("/v1/products")).json()["products"] == []


async def test_a_profile_of_another_bundle_never_decides(settings: Settings) -> None:
    """It is named in a warning, in the list and in a metric; the bundle's threshold is used."""
    async with serving(settings=settings) as service:
        await service.client.post(f"{NUT}/calibrate", json=scores(GOOD))
    runtime = FakeRuntime()
    runtime.digest = "f" * 64
    async with serving(runtime, settings=settings) as service:
        found = await detect(service, 100)
        assert (found["result"], found["threshold"]) == ("OK", 0.5)
        assert (found["threshold_source"], found["profile_version"]) == ("bundle", None)
        (warning,) = found["warnings"]
        assert "another bundle" in warning
        assert (await detect(service, 100, threshold=0.9))["warnings"] == []  # its own decides
        form = [("image", ("a.png", encode(grey(100))))] * 2
        batch = await service.client.post(
            "/v1/detect/batch", params={"product": "metal nut"}, files=form
        )
        assert [item["warnings"] for item in batch.json()["results"]] == [[warning]] * 2
        (product,) = (await service.client.get("/v1/products")).json()["products"]
        assert product["usable"] is False
        assert "another bundle" in product["reason"]
        text = (await service.client.get("/metrics")).text
        assert 'ssvp_profile_stale{product="metal nut"} 1.0' in text


async def test_a_profile_decides_its_own_roi_only(kept: Service) -> None:
    """Scores of other parts of the picture are other scores."""
    params: dict[str, str | float] = {"roi": "0, 0, 20, 20", "false_reject": 0.05}
    made = await kept.client.post(f"{NUT}/calibrate", params=params, files=form(GOOD))
    assert made.json()["profile"]["roi"] == "0,0,20,20"
    assert (await detect(kept, roi="0,0,20,20"))["threshold_source"] == "profile"
    found = await detect(kept)
    assert found["threshold_source"] == "bundle"
    assert "roi" in found["warnings"][0]
    await kept.client.post(f"{NUT}/calibrate", json=scores(GOOD))
    assert (await detect(kept))["threshold_source"] == "profile"
    found = await detect(kept, roi="0,0,20,20")
    assert found["threshold_source"] == "bundle"
    assert "made for roi none, not 0,0,20,20" in found["warnings"][0]


async def test_a_dry_run_and_a_service_without_a_file_answer_but_save_nothing(
    kept: Service, service: Service
) -> None:
    """`text` is a file to put there by hand."""
    body = {**scores(GOOD), "dry_run": True}
    dry = (await kept.client.post(f"{NUT}/calibrate", json=body)).json()
    assert (dry["saved"], dry["reason"]) == (False, "dry run")
    assert (await kept.client.get("/v1/products")).json()["products"] == []
    bare = (await service.client.post(f"{NUT}/calibrate", json=scores(GOOD))).json()
    assert bare["saved"] is False
    assert "SSVP_PRODUCTS_FILE" in bare["reason"]
    assert json.loads(bare["text"])["products"]["metal nut"]["current"] == 1
    assert (await service.client.get("/v1/products")).json()["writable"] is False
    refused = await service.client.post(f"{NUT}/rollback", json={"version": 0})
    await _problem(refused, 409, "products_read_only")


async def test_the_line_goes_first(settings: Settings) -> None:
    """A part that comes while good parts are scored waits for two of them at most."""
    runtime = FakeRuntime()
    async with serving(runtime, settings=settings) as service:
        runtime.gate.clear()
        parts, params = form(GOOD * 2), {"false_reject": 0.05}
        calibrating = asyncio.create_task(
            service.client.post(f"{NUT}/calibrate", params=params, files=parts)
        )
        await until(lambda: service.engine.snapshot().queue_depth == 1)  # and one is computed
        line = [asyncio.create_task(detect(service, product="line")) for _ in range(5)]
        await until(lambda: service.engine.snapshot().queue_depth == 6)
        before = len(runtime.batches)
        runtime.gate.set()
        verdicts = await asyncio.gather(*line)
        assert all(verdict["result"] == "OK" for verdict in verdicts)
        assert (await calibrating).status_code == 200
        done = [name for batch in runtime.batches[before:] for name in batch]
        assert max(i for i, name in enumerate(done) if name == "line") <= 5


async def test_a_full_queue_is_waited_for_and_a_lost_device_is_not(settings: Settings) -> None:
    """Calibration gives way to the line; what no waiting mends ends it, and nothing is saved."""
    runtime = FakeRuntime()
    async with serving(runtime, settings=settings) as service:
        runtime.gate.clear()
        line = [asyncio.create_task(detect(service)) for _ in range(8)]
        await until(lambda: service.engine.snapshot().queue_depth == 7)
        params = {"false_reject": 0.05}
        calibrating = asyncio.create_task(
            service.client.post(f"{NUT}/calibrate", params=params, files=form(GOOD))
        )
        await asyncio.sleep(0.1)
        assert not calibrating.done()
        runtime.gate.set()
        await asyncio.gather(*line)
        assert (await calibrating).status_code == 200

        def lose() -> None:
            raise DeviceLostError("gone")

        runtime.on_predict = lose
        answer = await service.client.post(f"{NUT}/calibrate", params=params, files=form(GOOD))
        await _problem(answer, 503, "device_lost")
        assert (await service.client.get(NUT)).json()["current"] == 1
