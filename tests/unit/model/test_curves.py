"""A run's curves: what a stop may lose, and what it may not."""

from pathlib import Path

import pytest

from model.curves import CURVES_FILE, open_curves


def _write(run: Path, after: int, until: int) -> None:
    with open_curves(run, after) as curves:
        for step in range(after + 1, until + 1):
            curves(step, {"total": step / 3, "kl": float(step)})


def _steps(run: Path) -> list[str]:
    return [line.split(",")[0] for line in (run / CURVES_FILE).read_text().splitlines()]


def test_each_step_is_a_line_below_one_heading(tmp_path: Path) -> None:
    """Names of the losses, then six digits of each; written at once for whoever watches."""
    with open_curves(tmp_path, 0) as curves:
        curves(1, {"total": 1 / 3, "kl": 2.0})
        text = (tmp_path / CURVES_FILE).read_text()
    assert text.splitlines() == ["step,total,kl", "1,0.333333,2"]


@pytest.mark.parametrize(("after", "until"), [(3, 4), (2, 6), (0, 1)])
def test_steps_after_the_last_save_are_written_anew(tmp_path: Path, after: int, until: int) -> None:
    """Going on after a stop, or from the start: no step stands there twice, none is of the lost run."""
    _write(tmp_path, 0, 5)
    _write(tmp_path, after, until)
    assert _steps(tmp_path) == ["step", *map(str, range(1, until + 1))]


def test_a_run_killed_before_its_next_step_keeps_its_curves(tmp_path: Path) -> None:
    """What earlier calls wrote is in the file from the moment it is opened, not from the next step on."""
    _write(tmp_path, 0, 3)
    with open_curves(tmp_path, 3):
        assert _steps(tmp_path) == ["step", "1", "2", "3"]
    assert [f.name for f in tmp_path.iterdir()] == [CURVES_FILE]


@pytest.mark.parametrize("left", ["", None])
def test_curves_that_were_lost_begin_again_with_a_heading(tmp_path: Path, left: str | None) -> None:
    """Of an empty file, or of none, the run goes on at its step."""
    if left is not None:
        (tmp_path / CURVES_FILE).write_text(left)
    _write(tmp_path, 7, 9)
    assert _steps(tmp_path) == ["step", "8", "9"]
