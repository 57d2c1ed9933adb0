"""The small profiles obey the rules of PLCs' parsers, whatever callers call their parts."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.problems import describe
from app.api.schemas import Answer, ModelAnswer, RegionAnswer, TimingAnswer
from app.api.small_answers import Echo, small_answer, small_problem
from app.errors import QueueFullError

KEYS = [
    "result_code", "result", "score", "threshold", "sequence", "part_id", "product", "regions",
    "code", "total_ms",
]  # fmt: skip
TEXT = st.text(max_size=128)
UNIT = st.floats(0, 1)
SEQUENCE = st.integers(-(2**63), 2**63 - 1)


def _answer(score: float = 0.8731, threshold: float = 0.5, product: str = "metal nut") -> Answer:
    region = RegionAnswer(x=1, y=2, width=3, height=4, area_px=5, score=0.9)
    return Answer(
        request_id="r" * 128,
        part_id=None,
        sequence=None,
        product=product,
        result="NG" if score >= threshold else "OK",
        result_code=1 if score >= threshold else 0,
        score=score,
        threshold=threshold,
        threshold_source="bundle",
        profile_version=None,
        score_global=0.1,
        score_local=0.2,
        regions=[region] * 32,
        heatmap=None,
        model=ModelAnswer(name="m", version="1", digest="d" * 64),
        timing_ms=TimingAnswer(decode=1, queue=1, inference=1, render=1, total=123456.7),
        batch_size=1,
        warnings=[],
    )


def _plc_rules(body: bytes) -> dict[str, Any]:
    """Hold an answer against the rules of the strictest reader; return it parsed."""
    assert len(body) <= 512
    assert body.isascii()
    found: dict[str, Any] = json.loads(body)
    assert list(found) == KEYS
    assert all(isinstance(v, str | int | float) for v in found.values())  # flat, never null
    assert all(len(v) <= 256 for v in found.values() if isinstance(v, str))
    outside_strings = b"".join(body.split(b'"')[::2])
    assert not set(outside_strings) & set(b" \t\r\n")
    assert b"\\" not in body  # no escapes to understand
    return found


@given(UNIT, UNIT, TEXT, TEXT, SEQUENCE)
def test_every_plc_verdict_obeys_the_rules(
    score: float, threshold: float, product: str, part_id: str, sequence: int
) -> None:
    """Also with the longest texts, in any script, with quotes and control characters."""
    body = small_answer(_answer(score, threshold, product), Echo("plc", part_id, sequence))
    found = _plc_rules(body)
    assert found["sequence"] == sequence
    assert len(found["part_id"]) == len(part_id)


@given(TEXT, SEQUENCE, UNIT)
def test_every_plc_error_obeys_the_rules(part_id: str, sequence: int, elapsed_s: float) -> None:
    """The same keys in the same order, result_code 2."""
    problem = describe(QueueFullError("64 images are waiting already"), "r" * 128)
    found = _plc_rules(small_problem(problem, Echo("plc", part_id, sequence), elapsed_s))
    assert (found["result_code"], found["result"], found["code"]) == (2, "NONE", "queue_full")


def test_a_plc_verdict_by_hand() -> None:
    """To the byte."""
    body = small_answer(_answer(), Echo("plc", "A-17", 17))
    assert body == (
        b'{"result_code":1,"result":"NG","score":0.8731,"threshold":0.5000,"sequence":17,'
        b'"part_id":"A-17","product":"metal nut","regions":32,"code":"ok","total_ms":123456.7}'
    )


def test_a_line_by_hand() -> None:
    """One line, five fields, CR LF; a semicolon in the part's name does not add a sixth."""
    assert small_answer(_answer(), Echo("line", "A-17", 17)) == b"1;0.8731;0.5000;17;A-17\r\n"
    problem = describe(QueueFullError("full"), "r")
    found = small_problem(problem, Echo("line", "A;\r\n17\u00e9", -3), 0.1)
    assert found == b"2;0.0000;0.0000;-3;A???17?\r\n"


def test_close_to_the_threshold_numbers_keep_agreeing_with_the_result() -> None:
    """What four decimals would blur has ten."""
    for score, threshold in ((0.50004, 0.50005), (0.5000000001, 0.5000000002)):
        found = _plc_rules(small_answer(_answer(score, threshold), Echo("plc")))
        assert found["result"] == "OK"
        assert found["score"] < found["threshold"]


def test_an_error_says_how_long_it_took_in_milliseconds() -> None:
    """As a verdict does."""
    problem = describe(QueueFullError("full"), "r")
    assert _plc_rules(small_problem(problem, Echo("plc"), 1.25))["total_ms"] == 1250.0


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([], Echo()),
        ([("profile", "plc"), ("sequence", "7"), ("part_id", "x")], Echo("plc", "x", 7)),
        ([("profile", "PLC"), ("sequence", "seven")], Echo()),
        ([("profile", "line"), ("sequence", 7)], Echo("line", "", 7)),
        ([("profile", "line"), ("sequence", "17".zfill(20))], Echo("line", "", 17)),
        ([("profile", ["plc"]), ("sequence", 1e3), ("part_id", {})], Echo()),
        ([("profile", "plc"), ("sequence", "-3")], Echo("plc", "", -3)),
        ([("sequence", str(-(2**63)))], Echo("full", "", -(2**63))),
        ([("sequence", str(2**63 - 1))], Echo("full", "", 2**63 - 1)),
        ([("sequence", str(2**63))], Echo()),
        ([("sequence", "9" * 19), ("part_id", "p" * 300)], Echo("full", "p" * 128, 0)),
    ],
)
def test_echo_takes_what_makes_sense(pairs: list[tuple[str, Any]], expected: Echo) -> None:
    """It is read before anything is checked, and never raises."""
    assert Echo.of(pairs) == expected
