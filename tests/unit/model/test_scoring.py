"""Rows scored from tokens against the whole model on their images."""

from pathlib import Path

import numpy as np
import pytest
import torch

from model.assembly import SSVP
from model.data.pixels import read_sample
from model.data.row import ManifestRow
from model.preprocess import collate, preprocess
from model.scoring import RowScorer, predict_torch, tokens_from
from model.tokens import TokenBatch, TokenCache
from tests.configs import TINY_VIT
from tests.miniature import rows_of
from tests.towers import disturb

CPU = torch.device("cpu")
FLOAT_NOISE, HALF = 1e-4, 1e-2  # the second of tokens in fp16 on disk


@pytest.fixture
def rows(tmp_path: Path) -> list[ManifestRow]:
    """Return four rows of different products with their files."""
    return rows_of(tmp_path / "data")[::2]


@pytest.mark.parametrize("cached", [False, True])
def test_each_row_gets_its_own_images_score(
    rows: list[ManifestRow], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, cached: bool
) -> None:
    """Batch by batch, the last one smaller, under each row's name, whether its tokens are kept or not."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)  # towers in fp32
    torch.manual_seed(0)
    model = SSVP(TINY_VIT).eval()
    disturb(model.heads)
    cache = TokenCache(tmp_path / "cache", model, CPU) if cached else None
    if cache is not None:
        cache.fill(rows, lambda done, total: None)
    samples = [read_sample(row) for row in rows]
    seen: list[TokenBatch] = []
    scorer = RowScorer(model, rows, tokens_from(model, CPU, cache), seen.append)
    found = [*scorer(samples[:3]), *scorer(samples[3:])]
    expected = predict_torch(model, samples)
    images = collate([preprocess(s.image, TINY_VIT) for s in samples])
    with torch.inference_mode():
        whole = model(images, [s.product for s in samples]).scores.score.tolist()
    assert [e.score for e in expected] == pytest.approx(whole, abs=1e-5)
    assert [name for batch in seen for name in batch.products] == [s.product for s in samples]
    assert len({round(e.score, 2) for e in expected}) == len(rows)
    atol = HALF if cached else FLOAT_NOISE
    for one, other in zip(found, expected, strict=True):
        assert one.score == pytest.approx(other.score, abs=atol)
        np.testing.assert_allclose(one.anomaly_map, other.anomaly_map, atol=atol)
