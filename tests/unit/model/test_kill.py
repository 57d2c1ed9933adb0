"""`ssvp train` as a process that is killed without warning, and started again."""

import signal
import subprocess
import sys
import time
from pathlib import Path

from model.checkpoint import TRAINED_HEADS_FILE
from model.curves import CURVES_FILE
from model.data.manifest import write_manifest_rows
from model.resume import RESUME_FILE
from tests.configs import TINY_VIT
from tests.miniature import rows_of
from tests.towers import write_towers

EPOCHS, BATCH = 6, 2
STEPS = EPOCHS * 8 // BATCH
PATIENCE_S = 120.0


def _command(folder: Path, run: str) -> list[str]:
    options = ["--towers", "towers", "--data", "data.jsonl", "--out", run, "--device", "cpu"]
    numbers = ["--epochs", str(EPOCHS), "--batch-size", str(BATCH), "--workers", "0"]
    ssvp = str(Path(sys.executable).with_name("ssvp"))
    return [ssvp, "train", *options, *numbers, "--save-every-s", "0"]


def _steps_done(run: Path) -> int:
    curves = run / CURVES_FILE
    return max(0, len(curves.read_text().splitlines()) - 1) if curves.exists() else 0


def test_a_killed_training_ends_at_the_same_weights(tmp_path: Path) -> None:
    """SIGKILL in the middle of an epoch; the same command again ends bit for bit where one run does."""
    write_towers(tmp_path / "towers", TINY_VIT)
    write_manifest_rows(rows_of(tmp_path / "data"), tmp_path / "data.jsonl")

    killed = tmp_path / "killed"
    process = subprocess.Popen(_command(tmp_path, "killed"), cwd=tmp_path)
    give_up = time.monotonic() + PATIENCE_S
    while not (killed / RESUME_FILE).exists() or _steps_done(killed) < 3:
        assert process.poll() is None, "training ended before it could be killed"
        assert time.monotonic() < give_up, "training did not get to its third step"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (killed / TRAINED_HEADS_FILE).exists()
    for run in ("killed", "whole"):
        subprocess.run(_command(tmp_path, run), cwd=tmp_path, check=True, capture_output=True)
    for name in (TRAINED_HEADS_FILE, "prompts.safetensors", CURVES_FILE):
        assert (killed / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert _steps_done(killed) == STEPS
