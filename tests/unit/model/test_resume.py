"""What a stopped run leaves for the next one."""

import pickle
from pathlib import Path

import pytest
import torch

from model.resume import RESUME_FILE, clear_resume, load_resume, save_resume

CPU = torch.device("cpu")
WEIGHTS = torch.zeros(10_000)
STATE = {"step": 7, "weights": WEIGHTS}


@pytest.mark.parametrize("packed", [False, True])
def test_a_state_comes_back_packed_or_not(tmp_path: Path, *, packed: bool) -> None:
    """On the device that is asked for; smaller only where that is asked for too, and nothing beside it."""
    save_resume(tmp_path, STATE, packed=packed)
    found = load_resume(tmp_path, torch.device("meta"))
    assert found is not None
    assert found["step"] == 7
    assert found["weights"].is_meta
    found = load_resume(tmp_path, CPU)
    assert found is not None
    assert torch.equal(found["weights"], WEIGHTS)
    assert ((tmp_path / RESUME_FILE).stat().st_size < 10_000) == packed
    assert [f.name for f in tmp_path.iterdir()] == [RESUME_FILE]


def test_a_new_or_finished_run_has_none(tmp_path: Path) -> None:
    """A finished one forgets it, however often it is told to."""
    assert load_resume(tmp_path, CPU) is None
    save_resume(tmp_path, STATE)
    for _ in range(2):
        clear_resume(tmp_path)
        assert load_resume(tmp_path, CPU) is None


def test_a_save_that_fails_leaves_the_one_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine goes away before the new file is all there: the run can still go on."""
    save_resume(tmp_path, STATE)

    def fail(_: Path, target: Path) -> None:
        raise OSError("gone")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="gone"):
        save_resume(tmp_path, {"step": 8})
    found = load_resume(tmp_path, CPU)
    assert found is not None
    assert found["step"] == 7


def test_code_in_a_state_is_not_run(tmp_path: Path) -> None:
    """A file from another machine may hold tensors and numbers only."""
    torch.save({"step": Path()}, tmp_path / RESUME_FILE)
    with pytest.raises(pickle.UnpicklingError, match="weights_only"):
        load_resume(tmp_path, CPU)
