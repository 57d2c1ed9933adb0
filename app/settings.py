"""Every `SSVP_*` environment variable, read once and checked at start.

Knows how the service is run; facts about the model come from the bundle, never from here.
"""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.cores import available_cores

PREFIX = "SSVP_"

PositiveInt = Annotated[int, Field(ge=1)]


def _default_decode_threads() -> int:
    return min(8, available_cores())


class Settings(BaseSettings):
    """How one process serves one bundle on one device."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    host: str = Field(
        default="0.0.0.0",  # noqa: S104
        description="Address to listen on; `::` is all of IPv6 and none of IPv4, empty is both.",
    )
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        default=8080, description="TCP port; 0: any free."
    )
    bundle: str = Field(
        default="ssvp-nano", description="Model bundle: a folder, or a shipped name."
    )
    device: str = Field(
        default="auto", description="auto, cpu or cuda:0; auto takes a GPU if there is one."
    )
    precision: Literal["auto", "fp32", "fp16", "bf16"] = Field(
        default="auto", description="Of the towers; auto: fp16 on a GPU, fp32 on a CPU."
    )
    compile: bool = Field(
        default=False,
        description="Compile the towers for the GPU at each start: minutes, and a C compiler is needed.",
    )
    cuda_graphs: bool = Field(
        default=True,
        description="Launch a batch on a GPU as one recorded graph; false: kernel by kernel.",
    )
    image_roots: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(), description="Folders image_path may name files in, separated by commas."
    )
    max_body_bytes: PositiveInt = Field(default=32 * 2**20, description="Largest request body.")
    body_timeout_s: Annotated[float, Field(gt=0, le=3600)] = Field(
        default=20.0, description="Longest time a request body may take to arrive."
    )
    max_pixels: PositiveInt = Field(
        default=64_000_000, description="Largest image, width times height."
    )
    decode_threads: PositiveInt = Field(
        default_factory=_default_decode_threads,
        description="Threads that decode and render; by default one a core, at most 8.",
    )
    max_batch: PositiveInt = Field(
        default=8, description="Most images the device computes at once."
    )
    max_wait_ms: Annotated[float, Field(ge=0, le=1000)] = Field(
        default=0.0,
        description="Longest time a batch is held open for more images; on a CPU of several cores it never is.",
    )
    queue_size: PositiveInt = Field(default=64, description="Most requests waiting for the device.")
    default_deadline_ms: PositiveInt = Field(
        default=10_000, description="From arrival to answer, for requests that give no deadline_ms."
    )
    golden_interval_s: Annotated[float, Field(ge=0.1, le=3600)] = Field(
        default=30.0, description="A runtime that computes wrongly is noticed within this time."
    )
    keep_alive_s: PositiveInt = Field(
        default=600,
        description="Idle connections are kept this long: a line may stop, its PLC stays.",
    )
    grace_time_s: PositiveInt = Field(
        default=20, description="Time to finish accepted requests after SIGTERM."
    )
    products_file: Path | None = Field(
        default=None,
        description="JSON file of product profiles; may be read-only. Without it thresholds are not kept.",
    )
    api_keys_file: Path | None = Field(
        default=None,
        description="File of API keys, one `name:key` a line; without it none is asked.",
    )
    key_rate_per_s: Annotated[float, Field(ge=0, le=1e6)] = Field(
        default=0.0, description="Most inspections a second for one API key; 0: any number."
    )
    log_format: Literal["json", "text"] = Field(
        default="json", description="One JSON object a line, or a line for people."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Least severe log line written."
    )

    @property
    def places(self) -> int:
        """How many requests are served at once: as many as may wait, and a batch."""
        return self.queue_size + self.max_batch

    @field_validator("image_roots", mode="before")
    @classmethod
    def _split_at_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return [part for part in (p.strip() for p in value.split(",")) if part]
        return value


def unknown_variables(names: Iterable[str]) -> list[str]:
    """Return a sentence for each `SSVP_*` name that no setting reads: most likely a typing error."""
    known = [PREFIX + name.upper() for name in Settings.model_fields]
    return [
        _unknown_sentence(name, known)
        for name in sorted(names)
        if name.upper().startswith(PREFIX) and name.upper() not in known
    ]


def _unknown_sentence(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.75)
    hint = f"; did you mean {close[0]}?" if close else "; see `ssvp settings`"
    return f"{name} is set but is no setting{hint}"
