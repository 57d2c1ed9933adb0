"""A service that keeps product profiles."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.settings import Settings
from tests.conftest import Service, serving


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A service that keeps profiles and reads files."""
    (tmp_path / "images").mkdir()
    return Settings(
        products_file=tmp_path / "products.json",
        image_roots=(tmp_path / "images",),
        queue_size=8,
        max_batch=1,
    )


@pytest.fixture
async def kept(settings: Settings, anyio_backend: str) -> AsyncIterator[Service]:
    """A ready service that keeps profiles."""
    async with serving(settings=settings) as running:
        yield running
