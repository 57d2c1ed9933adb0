"""How many cores there are to use, in a container as on a machine."""

import os
from pathlib import Path

import pytest

from app import cores
from app.cores import available_cores


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that may run on eight cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)), raising=False)


@pytest.mark.usefixtures("eight_cores")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("50000 100000", 1),
        ("1600000 100000", 8),
        ("max 100000", 8),
    ],
)
def test_quota_of_a_control_group_limits_cores(tmp_path: Path, text: str, expected: int) -> None:
    """A quota counts rounded up, at least one core and no more than there are."""
    (tmp_path / "cpu.max").write_text(text + "\n")
    assert available_cores(tmp_path) == expected


@pytest.mark.usefixtures("eight_cores")
@pytest.mark.parametrize(("quota", "expected"), [("300000", 3), ("-1", 8)])
def test_first_version_of_control_groups_is_read_too(
    tmp_path: Path, quota: str, expected: int
) -> None:
    """Older hosts keep quota and period in two files."""
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota + "\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert available_cores(tmp_path) == expected


@pytest.mark.usefixtures("eight_cores")
def test_without_control_groups_affinity_counts(tmp_path: Path) -> None:
    """`taskset` is honoured."""
    assert available_cores(tmp_path) == 8


def test_a_choice_of_the_user_about_waiting_threads_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sets GOMP_SPINCOUNT knows why."""
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    cores.let_waiting_threads_sleep()
    assert os.environ["GOMP_SPINCOUNT"] == "7"
