"""Several processes for real: they meet, they exchange, and a dead one stops the others."""

import sys
import time
from pathlib import Path

import pytest
import torch
from torch import distributed

from model.parallel import Part, together


def _add_own_number(part: Part) -> None:
    distributed.all_reduce(torch.tensor([float(part.number)]))


def _die(part: Part) -> None:
    sys.exit(1)


def _hang(part: Part, woken: Path) -> None:
    time.sleep(30)
    woken.touch()


def test_all_processes_take_part() -> None:
    """Three processes add up their numbers: 0 + 1 + 2."""
    total = torch.zeros(1)
    with together(3, _add_own_number) as part:
        assert part == Part(0, 3)
        assert part.leads
        distributed.all_reduce(total)
    assert total.item() == 3.0
    assert not distributed.is_initialized()


def test_one_process_needs_no_others() -> None:
    """Alone, nothing is started and no group is made."""
    with together(1, _die) as part:
        assert part == Part(0, 1)
        assert not distributed.is_initialized()


def test_a_dead_process_stops_the_others() -> None:
    """When another process has died, the next exchange raises instead of waiting for ever."""
    closed = pytest.raises(RuntimeError, match=r"(?i)closed|reset|broken pipe")
    with together(2, _die), closed:
        distributed.all_reduce(torch.zeros(1))


def test_an_error_does_not_wait_for_the_others(tmp_path: Path) -> None:
    """Ctrl-C while another process hangs ends the block at once: the other is killed before it wakes up."""
    with pytest.raises(KeyboardInterrupt), together(2, _hang, tmp_path / "woken"):
        raise KeyboardInterrupt
    assert not (tmp_path / "woken").exists()
