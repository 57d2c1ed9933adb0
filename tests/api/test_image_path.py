"""A picture by its path below one of the service's roots, in place of its bytes."""

import asyncio
import threading
from pathlib import Path

import pytest

from app.engine import image_files
from app.settings import Settings
from tests.conftest import Service, serving, until
from tests.fakes import encode, grey

pytestmark = pytest.mark.anyio

URL = "/v1/detect"
PNG = encode(grey(200))


@pytest.fixture
def cameras(tmp_path: Path) -> Path:
    """A folder a camera PC writes to."""
    (tmp_path / "cam1").mkdir()
    (tmp_path / "cam1" / "000123.png").write_bytes(PNG)
    (tmp_path / "cam1" / "notes.txt").write_text("no picture")
    return tmp_path


async def test_an_image_by_its_path(cameras: Path) -> None:
    """In the JSON body, or in the query of an empty one."""
    async with serving(settings=Settings(image_roots=(cameras,))) as service:
        path = "cam1/000123.png"
        for answer in (
            await service.client.post(URL, json={"image_path": path, "part_id": "A-17"}),
            await service.client.post(URL, params={"image_path": path, "part_id": "A-17"}),
        ):
            assert answer.status_code == 200, answer.text
            assert (answer.json()["result"], answer.json()["part_id"]) == ("NG", "A-17")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("cam1/000124.png", 404, "image_path_unknown"),
        ("../../etc/passwd", 404, "image_path_unknown"),
        ("cam1/notes.txt", 400, "image_unrecognised"),
        ("", 422, "parameter_invalid"),
    ],
)
async def test_a_path_without_a_picture(cameras: Path, path: str, status: int, code: str) -> None:
    """No text of the file and no folder of the machine is in the answer."""
    async with serving(settings=Settings(image_roots=(cameras,))) as service:
        answer = await service.client.post(URL, json={"image_path": path})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["result_code"] == 2
    assert str(cameras) not in answer.text


async def test_paths_are_off_by_default_and_never_beside_an_image(service: Service) -> None:
    """The error says which setting turns them on."""
    answer = await service.client.post(URL, json={"image_path": "a.png"})
    assert answer.status_code == 422
    assert "SSVP_IMAGE_ROOTS" in answer.json()["detail"]
    both = await service.client.post(URL, params={"image_path": "a.png"}, content=PNG)
    assert (both.status_code, both.json()["code"]) == (400, "image_missing")


async def test_a_dead_share_leaves_the_line_its_places(
    cameras: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the places wait for it, further paths are refused, pictures are inspected."""
    monkeypatch.setattr(image_files, "SLOW_S", -1.0)
    hang = threading.Event()
    monkeypatch.setattr(image_files, "read_image_file", lambda *_: hang.wait() and PNG)
    chosen = Settings(image_roots=(cameras,), queue_size=5, max_batch=1)
    async with serving(settings=chosen) as service:
        path = {"image_path": "cam1/000123.png"}
        waiting = [asyncio.create_task(service.client.post(URL, params=path)) for _ in range(3)]
        await until(lambda: service.engine.snapshot().inflight == 3)
        refused = await service.client.post(URL, params=path)
        assert (refused.status_code, refused.json()["code"]) == (503, "queue_full")
        assert (await service.client.post(URL, content=PNG)).status_code == 200
        hang.set()
        assert [(await task).status_code for task in waiting] == [200] * 3
