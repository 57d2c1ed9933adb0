"""Log lines: one JSON object each, or a line for people. Whatever callers sent is escaped in both.

Knows Python's logging; knows nothing of what is logged. Fields of a line travel in `extra={"fields": {...}}`.
"""

import json
import logging
from datetime import UTC, datetime
from typing import Any, Literal

_TEXT = "%(asctime)s %(levelname)s %(name)s %(message)s"


def configure_logging(level: str, style: Literal["json", "text"] = "text") -> None:
    """Send every log line, warnings included, to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter(_TEXT))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)


class JsonFormatter(logging.Formatter):
    """One line, one object: `time`, `level`, `logger`, `message`, then the line's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record; non-ASCII and control characters are escaped."""
        time = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """The message, then `name=value` for each field."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """Write one record's line."""
        written = [f"{name}={_value(value)}" for name, value in _fields(record).items()]
        return " ".join([super().formatMessage(record), *written])


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = getattr(record, "fields", {})
    return fields


def _value(value: object) -> str:
    return ascii(value) if isinstance(value, str) else str(value)
