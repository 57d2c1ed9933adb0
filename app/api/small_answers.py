"""Answers for machines that read little: the answer profiles `plc` and `line`, for verdicts and errors alike.

Knows the rules of PLCs' parsers: ASCII, no blank between tokens, strings of at most 256 characters, at most 512
bytes, the same keys in the same order whatever happened. What cannot be written so becomes a question mark.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import BaseModel

from app.api.schemas import Answer, Problem

MEDIA_TYPES = {"plc": "application/json", "line": "text/plain; charset=us-ascii"}
_SEQUENCE_LIMIT = 2**63
_UNWRITABLE = re.compile(r"[^ -~]|[\"\\]")
_MAX_TEXT = 128


@dataclass(frozen=True)
class Echo:
    """What a caller said about itself, taken as it came: an error is answered in the caller's answer profile.

    Attributes:
        profile: how to answer.
        part_id, sequence: echoed in every small answer; empty and 0 where not given.
    """

    profile: str = "full"
    part_id: str = ""
    sequence: int = 0

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, Any]]) -> Self:
        """Read names and values that were not checked yet; what makes no sense counts as not given."""
        said = {name: value for name, value in pairs if isinstance(value, str | int)}
        profile = str(said.get("profile", ""))
        text = str(said.get("sequence", ""))
        number = int(text) if re.fullmatch(r"-?[0-9]{1,20}", text) else 0
        return cls(
            profile if profile in MEDIA_TYPES else "full",
            str(said.get("part_id", ""))[:_MAX_TEXT],
            number if -_SEQUENCE_LIMIT <= number < _SEQUENCE_LIMIT else 0,
        )


class SmallAnswer(BaseModel):
    """Everything the `plc` profile says, in this order, of a verdict and of an error alike.

    `result_code` is 0 for OK, 1 for NG and 2 for no result; `code` is `ok`, or the name of what went wrong.
    """

    result_code: Literal[0, 1, 2]
    result: Literal["OK", "NG", "NONE"]
    score: float
    threshold: float
    sequence: int
    part_id: str
    product: str
    regions: int
    code: str
    total_ms: float

    def written(self, profile: str) -> bytes:
        """Return the answer as bytes of a small answer profile."""
        return self._line() if profile == "line" else self._plc()

    def _plc(self) -> bytes:
        texts = {"result": self.result, "code": self.code}
        texts |= {"part_id": _ascii(self.part_id), "product": _ascii(self.product)}
        numbers = {"score": _decimal(self.score), "threshold": _decimal(self.threshold)}
        numbers |= {"sequence": str(self.sequence), "regions": str(self.regions)}
        numbers |= {"result_code": str(self.result_code), "total_ms": f"{self.total_ms:.1f}"}
        written = numbers | {name: json.dumps(text) for name, text in texts.items()}
        members = ",".join(f'"{name}":{written[name]}' for name in SmallAnswer.model_fields)
        return f"{{{members}}}".encode("ascii")

    def _line(self) -> bytes:
        part_id = _ascii(self.part_id).replace(";", "?")
        numbers = f"{_decimal(self.score)};{_decimal(self.threshold)};{self.sequence}"
        return f"{self.result_code};{numbers};{part_id}\r\n".encode("ascii")


def small_answer(answer: Answer, echo: Echo) -> bytes:
    """Write a verdict in the caller's small answer profile."""
    return SmallAnswer(
        result_code=answer.result_code,
        result=answer.result,
        score=answer.score,
        threshold=answer.threshold,
        sequence=echo.sequence,
        part_id=echo.part_id,
        product=answer.product,
        regions=len(answer.regions),
        code="ok",
        total_ms=answer.timing_ms.total,
    ).written(echo.profile)


def small_problem(problem: Problem, echo: Echo, elapsed_s: float) -> bytes:
    """Write an error in the caller's small answer profile: result_code 2, and `code` says why."""
    return SmallAnswer(
        result_code=problem.result_code,
        result="NONE",
        score=0.0,
        threshold=0.0,
        sequence=echo.sequence,
        part_id=echo.part_id,
        product="",
        regions=0,
        code=problem.code,
        total_ms=1000 * elapsed_s,
    ).written(echo.profile)


def _ascii(text: str) -> str:
    return _UNWRITABLE.sub("?", text)


def _decimal(value: float) -> str:
    """Four decimals, or ten where four would say something else."""
    return f"{value:.4f}" if round(value, 4) == value else f"{value:.10f}"
