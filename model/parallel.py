"""Train on several processes of one machine, each with its share of every batch.

Small towers leave most of a many-core CPU idle: their operations are too short to be worth dividing among
threads. One process a core is more than twice as fast. Knows torch.distributed; knows no model.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
from torch import distributed, multiprocessing

END_WITHIN_S = 300


@dataclass(frozen=True)
class Part:
    """Which of `parts` processes this one is; number 0 reports and writes files."""

    number: int = 0
    parts: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process reports and writes files."""
        return self.number == 0


@contextmanager
def together(parts: int, others: Callable[..., object], *args: Any) -> Iterator[Part]:
    """Run `others(part, *args)` in `parts - 1` further processes for as long as the block runs in this one.

    They may end their work after the block; where it raises, they are killed at once.

    Args:
        parts: processes in all; 1 starts none.
        others: a module-level function.
        args: what it is called with after its part; must pickle.

    Raises:
        RuntimeError: from the block's next exchange, when another process has died.
    """
    if parts == 1:
        yield Part()
        return
    with tempfile.TemporaryDirectory() as folder:
        meeting = Path(folder) / "meeting"
        spawning = multiprocessing.get_context("spawn")
        helpers: list[BaseProcess] = [
            spawning.Process(target=_help, args=(Part(n, parts), meeting, others, args))
            for n in range(1, parts)
        ]
        for helper in helpers:
            helper.start()
        try:
            _join_group(Part(0, parts), meeting)
            yield Part(0, parts)
            for helper in helpers:
                helper.join(timeout=END_WITHIN_S)
        finally:
            # After an error nobody waits: the others may hang in an exchange with this process.
            for helper in helpers:
                helper.kill()
            if distributed.is_initialized():
                distributed.destroy_process_group()


def _help(part: Part, meeting: Path, work: Callable[..., object], args: tuple[Any, ...]) -> None:
    _join_group(part, meeting)
    work(part, *args)
    distributed.destroy_process_group()


def _join_group(part: Part, meeting: Path) -> None:
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // part.parts))
    distributed.init_process_group(
        "gloo", init_method=meeting.as_uri(), rank=part.number, world_size=part.parts
    )
