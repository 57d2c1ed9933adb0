"""Pretraining for real, a few steps on very small convolutional towers."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from model import checkpoint, pretrain, pretrain_run, resume
from model.backbones.clip import ClipTower
from model.checkpoint import load_towers, resized_attention_pool
from model.config import SSVP_NANO, SSVPConfig
from model.data.stream import Batch, StreamConfig, batches
from model.pretrain_recipe import Phase, PretrainConfig
from model.runs import OtherRecipeError
from model.ssvp.heads import SSVPHeads
from tests.configs import MICRO, TINY_VIT

CPU = torch.device("cpu")
QUICK = PretrainConfig(
    steps=6, phases=(Phase(0.5, 0.5, 2), Phase(1.0, 0.5, 2)), ema_decay=0.5, workers=0
)


def _ignore(step: int, total: int, losses: dict[str, float]) -> None:
    """Take a progress report and do nothing with it."""


def _weights(run: Path) -> dict[str, torch.Tensor]:
    clip, dino = load_towers(run, MICRO)
    assert dino is not None
    return {**clip.state_dict(), **{f"dino.{k}": v for k, v in dino.state_dict().items()}}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished run, which no test may change."""
    folder = tmp_path_factory.mktemp("finished")
    pretrain.pretrain(MICRO, QUICK, folder, CPU, _ignore)
    return folder


class _StoppedError(Exception):
    """Stands for a machine that goes away."""


def _pretrain_until(
    step: int, run: Path, monkeypatch: pytest.MonkeyPatch, model: SSVPConfig = MICRO
) -> None:
    """Pretrain until a step is lost; what was before it is saved."""
    monkeypatch.setattr(pretrain, "SAVE_EVERY_S", -1.0)

    def stop(done: int, total: int, losses: dict[str, float]) -> None:
        if done == step:
            raise _StoppedError

    with pytest.raises(_StoppedError):
        pretrain.pretrain(model, QUICK, run, CPU, stop)


def test_pretraining_goes_through_all_sizes_and_writes_towers(finished: Path) -> None:
    """Two phases of different image size end in towers of the model's own size."""
    assert all(torch.isfinite(v).all() for v in _weights(finished).values())
    assert checkpoint.load_history(finished)["pretrain"]["images"] == 2 * 2 * 6


@pytest.mark.parametrize("stop_after", [2, 5])
def test_a_stopped_run_goes_on_to_the_same_weights(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_after: int
) -> None:
    """Stopped in either phase and started again, a run ends where an unstopped one does."""
    _pretrain_until(stop_after, tmp_path, monkeypatch)
    steps: list[int] = []
    pretrain.pretrain(MICRO, QUICK, tmp_path, CPU, lambda step, *_: steps.append(step))
    assert steps == list(range(stop_after, 7))
    whole, parts = _weights(finished), _weights(tmp_path)
    assert all(torch.equal(whole[k], parts[k]) for k in whole)


class _Clock:
    """A clock that images move on, an hour a batch, and nothing else does."""

    def __init__(self) -> None:
        self.hours = 0

    def monotonic(self) -> float:
        """Return the time in seconds."""
        return 3600.0 * self.hours

    def batches(self, config: StreamConfig) -> Iterator[Batch]:
        """Render as ever."""
        for batch in batches(config):
            self.hours += 1
            yield batch


def test_hours_count_the_wait_for_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour for each of six batches, also of a run that was stopped; what was lost does not count."""
    clock = _Clock()
    for module in (pretrain, pretrain_run):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(pretrain, "batches", clock.batches)
    _pretrain_until(3, tmp_path, monkeypatch)
    pretrain.pretrain(MICRO, QUICK, tmp_path, CPU, _ignore)
    assert clock.hours == 3 + 4
    assert checkpoint.load_history(tmp_path)["pretrain"]["training_hours"] == 6.0


def test_what_a_stopped_run_of_ssvp_nano_needs_fits_into_sixty_megabytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file goes to another machine: weights, their average, and two moments for each."""
    _pretrain_until(2, tmp_path, monkeypatch, SSVP_NANO)
    assert 40e6 < (tmp_path / resume.RESUME_FILE).stat().st_size < 60e6


@pytest.mark.parametrize("last_step", [3, 6])
def test_a_run_that_dies_at_the_end_of_a_phase_goes_on_to_the_same_weights(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last_step: int
) -> None:
    """Between a phase's last step and the save of its weights: that step is made again."""
    monkeypatch.setattr(pretrain, "SAVE_EVERY_S", -1.0)

    def die(run: Path, state: Mapping[str, Any], *, packed: bool) -> None:
        if "start" in state and state["step"] == last_step:
            raise _StoppedError
        resume.save_resume(run, state, packed=packed)

    monkeypatch.setattr(pretrain_run, "save_resume", die)
    with pytest.raises(_StoppedError):
        pretrain.pretrain(MICRO, QUICK, tmp_path, CPU, _ignore)
    monkeypatch.setattr(pretrain_run, "save_resume", resume.save_resume)
    pretrain.pretrain(MICRO, QUICK, tmp_path, CPU, _ignore)
    whole, parts = _weights(finished), _weights(tmp_path)
    assert all(torch.equal(whole[k], parts[k]) for k in whole)


def test_a_run_folder_is_of_one_recipe(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a stopped nor a finished run is mixed with another; a finished one is not repeated."""
    _pretrain_until(2, tmp_path, monkeypatch)
    fewer = replace(QUICK, steps=2)
    for run in (tmp_path, finished):
        with pytest.raises(OtherRecipeError, match="another recipe"):
            pretrain.pretrain(MICRO, fewer, run, CPU, _ignore)
    assert (tmp_path / resume.RESUME_FILE).exists()
    seen: list[int] = []
    for same in (QUICK, replace(QUICK, processes=2)):
        pretrain.pretrain(MICRO, same, finished, CPU, lambda step, *_: seen.append(step))
    assert seen == []


def test_a_run_goes_on_from_another_runs_towers(finished: Path, tmp_path: Path) -> None:
    """Training on at a rate of nearly nothing keeps the weights and records both runs."""
    still = replace(QUICK, learning_rate=1e-9, seed=2)
    pretrain.pretrain(MICRO, still, tmp_path, CPU, _ignore, start=finished)
    before, after = _weights(finished), _weights(tmp_path)
    moving = ("num_batches_tracked", "running_mean", "running_var")
    resized = "attnpool.positional_embedding"  # through half the image size and back
    for name in before:
        if not name.endswith((*moving, resized)):
            torch.testing.assert_close(before[name], after[name], atol=1e-6, rtol=0.0)
    rarity = [load_file(run / checkpoint.RARITY_FILE) for run in (finished, tmp_path)]
    assert all(torch.allclose(v, rarity[1][k], atol=1e-6) for k, v in rarity[0].items())
    record = checkpoint.load_history(tmp_path)["pretrain"]
    assert record["start"] == checkpoint.load_history(finished)["pretrain"]


@pytest.mark.parametrize("seed", [1, 7])
def test_images_that_a_start_was_trained_on_are_not_drawn_again(
    finished: Path, tmp_path: Path, seed: int
) -> None:
    """Neither the start's own seed nor that of the run which it started from is taken."""
    first = checkpoint.load_history(finished)["pretrain"]
    second = {"recipe": {**first["recipe"], "seed": 7}, "start": first}
    checkpoint.save_json({"pretrain": second}, tmp_path / checkpoint.HISTORY_FILE)
    with pytest.raises(ValueError, match=f"images of seed {seed} already: take another seed"):
        pretrain.pretrain(
            MICRO, replace(QUICK, seed=seed), tmp_path / "run", CPU, _ignore, start=tmp_path
        )


def test_a_start_without_towers_is_refused(tmp_path: Path) -> None:
    """A folder that is no finished pretraining is named before a step is made."""
    with pytest.raises(FileNotFoundError, match=r"clip\.safetensors is missing"):
        pretrain.pretrain(MICRO, QUICK, tmp_path / "run", CPU, _ignore, start=tmp_path)


def test_a_run_without_rarity_experts_is_a_start_too(tmp_path: Path) -> None:
    """A model that has none keeps none, and asks for none."""
    plain, first, second = replace(MICRO, rarity_experts=False), tmp_path / "1", tmp_path / "2"
    pretrain.pretrain(plain, QUICK, first, CPU, _ignore)
    assert not (first / checkpoint.RARITY_FILE).exists()
    still = replace(QUICK, learning_rate=1e-9, seed=2)
    pretrain.pretrain(plain, still, second, CPU, _ignore, start=first)
    name = "clip.safetensors"
    before, after = load_file(first / name), load_file(second / name)
    convolution = "visual.conv1.weight"
    torch.testing.assert_close(before[convolution], after[convolution], atol=1e-6, rtol=0.0)
    with pytest.raises(FileNotFoundError, match=r"rarity\.safetensors is missing"):
        pretrain.pretrain(MICRO, still, tmp_path / "3", CPU, _ignore, start=first)


def test_two_processes_train_one_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes share every batch of a run that one began; each image is counted once."""
    _pretrain_until(2, tmp_path, monkeypatch)
    steps: list[int] = []
    shared = replace(QUICK, processes=2)
    pretrain.pretrain(MICRO, shared, tmp_path, CPU, lambda *args: steps.append(args[0]))
    assert steps == [2, 3, 4, 5, 6]  # only the leading process reports
    assert all(torch.isfinite(v).all() for v in _weights(tmp_path).values())
    assert checkpoint.load_history(tmp_path)["pretrain"]["images"] == 2 * 2 * 6


def test_processes_must_divide_every_batch() -> None:
    """A batch that does not divide is refused before anything starts."""
    with pytest.raises(ValueError, match="multiple of processes"):
        replace(QUICK, processes=3)


def test_what_thresholds_are_chosen_on_is_not_trained_on() -> None:
    """The seed of those images is set aside."""
    with pytest.raises(ValueError, match="seed 77 draws the images that thresholds are chosen on"):
        replace(QUICK, seed=77)


def test_a_gpu_is_one_process(tmp_path: Path) -> None:
    """Several processes on one GPU would only be in each other's way."""
    with pytest.raises(ValueError, match="on the CPU only"):
        pretrain.pretrain(
            MICRO, replace(QUICK, processes=2), tmp_path, torch.device("cuda"), _ignore
        )


def test_rarity_experts_are_kept_for_the_heads(finished: Path) -> None:
    """The heads of a new model start from the experts that pretraining left."""
    kept = load_file(finished / checkpoint.RARITY_FILE)
    heads = checkpoint.load_untrained(finished, MICRO).heads
    assert isinstance(heads, SSVPHeads)
    assert heads.rarity is not None
    assert all(torch.equal(v, kept[k]) for k, v in heads.rarity.state_dict().items())


def test_pooling_positions_are_resized_with_the_image() -> None:
    """A ResNet's pooling embedding is interpolated to the new grid; its class position stays."""
    small = ClipTower(replace(MICRO, clip_size_px=32)).model.state_dict()
    target = ClipTower(replace(MICRO, clip_size_px=96)).model
    fitted = resized_attention_pool(small, target)
    key = "visual.attnpool.positional_embedding"
    assert fitted[key].shape == (10, small[key].shape[1])
    assert torch.equal(fitted[key][0], small[key][0])
    target.load_state_dict(fitted)


def test_a_vit_needs_no_resizing() -> None:
    """A state dict without pooling positions comes back as it is."""
    tower = ClipTower(TINY_VIT).model
    state = tower.state_dict()
    found = resized_attention_pool(state, tower)
    assert found.keys() == state.keys()
    assert all(torch.equal(v, state[k]) for k, v in found.items())


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    """Loading a file into a model it does not fit says so and names the file."""
    path = tmp_path / "clip.safetensors"
    checkpoint.save_module(ClipTower(TINY_VIT).model, path)
    with pytest.raises(ValueError, match=r"clip\.safetensors does not fit"):
        checkpoint.load_module(ClipTower(MICRO).model, path)
