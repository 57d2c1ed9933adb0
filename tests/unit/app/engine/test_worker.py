"""One batch: results in order, and a poison image fails alone."""

import weakref
from collections.abc import Sequence

import pytest

from app.engine.worker import Computer, Outcome, Scored
from app.errors import DeviceLostError, InferenceError
from app.runtime.protocol import OutOfDeviceMemoryError, Prediction, Query
from tests.fakes import FakeRuntime, grey


def _compute(runtime: FakeRuntime, queries: Sequence[Query]) -> list[Outcome]:
    return Computer(runtime, 8).compute(queries)


def _queries(runtime: FakeRuntime, *products: str) -> list[Query]:
    return [Query(runtime.prepare(grey(10 * i)), p) for i, p in enumerate(products)]


def test_results_come_in_order_with_the_batch_size() -> None:
    """Query by query."""
    runtime = FakeRuntime()
    found = _compute(runtime, _queries(runtime, "a", "b", "c"))
    assert all(isinstance(o, Scored) for o in found)
    scored = [o for o in found if isinstance(o, Scored)]
    assert [round(s.prediction.score * 255) for s in scored] == [0, 10, 20]
    assert {s.batch_size for s in scored} == {3}
    assert all(s.inference_s > 0 for s in scored)


def test_a_poison_image_fails_alone() -> None:
    """The rest of the batch is computed image by image."""
    runtime = FakeRuntime(poison=["bad"])
    first, bad, last = _compute(runtime, _queries(runtime, "a", "bad", "c"))
    assert isinstance(bad, InferenceError)
    assert isinstance(bad.__cause__, RuntimeError)
    assert isinstance(first, Scored)
    assert isinstance(last, Scored)
    assert round(last.prediction.score * 255) == 20
    assert runtime.batches == [["a", "bad", "c"], ["a"], ["bad"], ["c"]]


def test_a_retry_is_no_more_alone_than_its_batch() -> None:
    """All cores for one image of a failed batch would be taken from another lane's."""
    runtime = FakeRuntime(poison=["bad"])
    Computer(runtime, 8).compute(_queries(runtime, "a", "bad"), alone=False)
    runtime.largest_batch = 1
    Computer(runtime, 8).compute(_queries(runtime, "a", "b"), alone=False)
    assert runtime.alone == [False] * 6


def test_too_few_predictions_are_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Zipped short, one part would get another's result or none."""
    runtime = FakeRuntime()
    whole = runtime.predict

    def short(queries: Sequence[Query], *, alone: bool) -> list[Prediction]:
        return whole(queries, alone=alone)[1:]

    monkeypatch.setattr(runtime, "predict", short)
    first, second = _compute(runtime, _queries(runtime, "a", "b"))
    for outcome in (first, second):
        assert isinstance(outcome, InferenceError)
        assert str(outcome.__cause__) == "0 predictions for 1 queries"


def test_a_lost_device_is_nobodys_poison() -> None:
    """It is not retried image by image: the worker must end."""
    runtime = FakeRuntime()

    def lose() -> None:
        raise DeviceLostError("gone")

    runtime.on_predict = lose
    with pytest.raises(DeviceLostError, match="gone"):
        _compute(runtime, _queries(runtime, "a", "b"))
    assert runtime.calls == 1


def test_out_of_memory_halves_until_it_fits() -> None:
    """Five images where two fit: everyone is scored, in order, and the limit stays low."""
    runtime = FakeRuntime()
    runtime.largest_batch = 2
    computer = Computer(runtime, 8)
    found = computer.compute(_queries(runtime, *"abcde"))
    assert [o.prediction.score for o in found if isinstance(o, Scored)] == pytest.approx(
        [i * 10 / 255 for i in range(5)]
    )
    assert computer.max_batch == 1  # three did not fit either


def test_no_memory_for_one_image_twice_is_a_lost_device() -> None:
    """Nothing smaller can be tried."""
    runtime = FakeRuntime()
    runtime.largest_batch = 0
    with pytest.raises(DeviceLostError, match="twice"):
        _compute(runtime, _queries(runtime, "a"))
    assert runtime.calls == 2


def test_another_failure_after_too_little_memory_is_that_images_alone() -> None:
    """Out of memory once, then a ValueError: one image fails, the worker lives."""
    runtime, calls = FakeRuntime(), []

    def fail() -> None:
        calls.append(1)
        raise OutOfDeviceMemoryError if len(calls) == 1 else ValueError("odd")

    runtime.on_predict = fail
    (outcome,) = _compute(runtime, _queries(runtime, "x"))
    assert isinstance(outcome, InferenceError)
    assert isinstance(outcome.__cause__, ValueError)


def test_what_failed_holds_no_memory_while_less_is_tried() -> None:
    """The error's traceback holds the batch's tensors, for which there was no room beside them."""
    runtime = FakeRuntime()
    raised: list[weakref.ref[OutOfDeviceMemoryError]] = []
    alive: list[bool] = []

    def watched() -> OutOfDeviceMemoryError:
        error = OutOfDeviceMemoryError()
        raised.append(weakref.ref(error))
        return error

    def fail() -> None:
        alive.extend(error() is not None for error in raised)
        if not raised:
            raise watched()

    runtime.on_predict = fail
    assert len(_compute(runtime, _queries(runtime, "a", "b"))) == 2
    assert alive == [False, False]
