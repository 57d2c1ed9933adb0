"""One batch: results in order, and a poison image fails alone."""

import pytest

from app.engine.worker import Scored, compute
from app.errors import InferenceError
from app.runtime.protocol import Prediction, Query
from tests.fakes import FakeRuntime, grey


def _queries(runtime: FakeRuntime, *products: str) -> list[Query]:
    return [Query(runtime.prepare(grey(10 * i)), p) for i, p in enumerate(products)]


def test_results_come_in_order_with_the_batch_size() -> None:
    """Query by query."""
    runtime = FakeRuntime()
    found = compute(runtime, _queries(runtime, "a", "b", "c"))
    assert all(isinstance(o, Scored) for o in found)
    scored = [o for o in found if isinstance(o, Scored)]
    assert [round(s.prediction.score * 255) for s in scored] == [0, 10, 20]
    assert {s.batch_size for s in scored} == {3}
    assert all(s.inference_s > 0 for s in scored)


def test_a_poison_image_fails_alone() -> None:
    """The rest of the batch is computed image by image."""
    runtime = FakeRuntime(poison=["bad"])
    first, bad, last = compute(runtime, _queries(runtime, "a", "bad", "c"))
    assert isinstance(bad, InferenceError)
    assert isinstance(bad.__cause__, RuntimeError)
    assert isinstance(first, Scored)
    assert isinstance(last, Scored)
    assert round(last.prediction.score * 255) == 20
    assert runtime.batches == [["a", "bad", "c"], ["a"], ["bad"], ["c"]]


def test_too_few_predictions_are_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Zipped short, one part would get another's result or none."""
    runtime = FakeRuntime()

    def short(queries: list[Query]) -> list[Prediction]:
        return []

    monkeypatch.setattr(runtime, "predict", short)
    assert all(isinstance(o, InferenceError) for o in compute(runtime, _queries(runtime, "a", "b")))
