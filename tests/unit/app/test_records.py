"""What a request's record says of a batch's images when it has been answered."""

from app.records import RequestRecord


def _batch() -> tuple[RequestRecord, RequestRecord, RequestRecord]:
    """Return a batch's record, an image's that has an end of its own, and one's that has none."""
    record = RequestRecord("id", "POST", "/v1/detect/batch", inspects=True)
    refused, unfinished = record.part(), record.part()
    refused.status, refused.code = 400, "image_corrupt"
    return record, refused, unfinished


def test_an_image_without_an_end_takes_the_batchs() -> None:
    """Its siblings' ends are no matter; one that was refused by itself stays so."""
    record, refused, unfinished = _batch()
    record.status, record.code = 504, "deadline_passed"
    record.settle()
    assert (refused.status, refused.code) == (400, "image_corrupt")
    assert (unfinished.status, unfinished.code) == (504, "deadline_passed")


def test_an_image_of_a_batch_that_failed_on_a_bug_is_internal() -> None:
    """The bug's problem is written further out, so the record has no code."""
    record, refused, unfinished = _batch()
    record.settle()
    assert (refused.outcome, unfinished.outcome) == ("image_corrupt", "internal")
