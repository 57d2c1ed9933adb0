"""Weights as files: what is rounded, what is refused, and what a stop may not leave."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from model import checkpoint
from model.assembly import SSVP
from model.backbones.clip import ClipTower
from model.bundle import CLIP_FILE, DINO_FILE, PROMPTS_FILE
from model.checkpoint import halved, load_module, resized_attention_pool, save_module
from tests.configs import MICRO, TINY_VIT
from tests.towers import disturb

NAME = "weights.safetensors"


def _module() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


def test_half_precision_is_of_matrices_and_kernels_alone() -> None:
    """Ten bits behind the point, rounded to nearest; vectors, counts and whole numbers keep all of theirs."""
    kernel = torch.tensor([[1.0 + 2**-11 + 2**-20, 1.0 + 2**-12]])
    assert halved(kernel).dtype == torch.float16
    assert halved(kernel).tolist() == [[1.0 + 2**-10, 1.0]]
    for whole in (kernel[0], torch.tensor(0.1), torch.tensor([[2**20 + 1]])):
        assert halved(whole) is whole


@pytest.mark.parametrize("half", [False, True])
def test_saved_weights_come_back_in_the_modules_precision(tmp_path: Path, *, half: bool) -> None:
    """As they were, or rounded; the file is whole, for others to read, and the only one."""
    saved, loaded = _module(), nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    save_module(saved, tmp_path / NAME, half=half)
    load_module(loaded, tmp_path / NAME)
    for name, value in saved.state_dict().items():
        expected = halved(value).to(value.dtype) if half else value
        found = loaded.state_dict()[name]
        assert found.dtype == value.dtype
        assert torch.equal(found, expected), name
    assert [f.name for f in tmp_path.iterdir()] == [NAME]
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o644


def test_a_save_that_fails_leaves_the_weights_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk, say: no half file takes their place."""
    save_module(_module(), tmp_path / NAME)
    before = (tmp_path / NAME).read_bytes()

    def fill(state: dict[str, Tensor], path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError

    monkeypatch.setattr(checkpoint, "save_file", fill)
    with pytest.raises(OSError):  # noqa: PT011 - has no message
        save_module(_module(), tmp_path / NAME)
    assert (tmp_path / NAME).read_bytes() == before


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda state: state.pop("0.bias"), "Missing key"),
        (lambda state: state.update({"2.bias": torch.zeros(2)}), "Unexpected key"),
        (lambda state: state.update({"0.bias": torch.zeros(1)}), "size mismatch"),
        (lambda state: state.update({"0.weight": torch.zeros(2, 3, 1)}), "size mismatch"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    tmp_path: Path, change: Callable[[dict[str, Tensor]], object], word: str
) -> None:
    """One tensor missing, too many or of another shape, even one that could be spread; the file is named."""
    state = _module().state_dict()
    change(state)
    save_file(state, tmp_path / NAME)
    with pytest.raises(ValueError, match=rf"{tmp_path / NAME} does not fit(?s:.*){word}"):
        load_module(_module(), tmp_path / NAME)


def test_pooling_positions_keep_their_place_in_a_finer_grid() -> None:
    """Three by three become four by four, row by row and bicubic; the first is the class token's."""
    key = "visual.attnpool.positional_embedding"
    small, large = (ClipTower(replace(MICRO, clip_size_px=px)).model for px in (96, 128))
    state = small.state_dict()
    found = resized_attention_pool(state, large)[key]
    square = state[key][1:].reshape(1, 3, 3, -1).permute(0, 3, 1, 2)
    expected = F.interpolate(square, (4, 4), mode="bicubic").permute(0, 2, 3, 1).reshape(16, -1)
    torch.testing.assert_close(found, torch.cat([state[key][:1], expected]))


def test_a_trained_model_comes_back_ready_to_score(tmp_path: Path) -> None:
    """Each weight of towers, prompts and heads, and nothing random left in it."""
    torch.manual_seed(0)
    model = SSVP(TINY_VIT)
    disturb(model)
    checkpoint.save_towers(model.clip, model.dino, tmp_path)
    checkpoint.save_json(TINY_VIT.to_dict(), tmp_path / checkpoint.CONFIG_FILE)
    save_module(model.prompts, tmp_path / PROMPTS_FILE)
    save_module(model.heads, tmp_path / checkpoint.TRAINED_HEADS_FILE)
    loaded = checkpoint.load_model(tmp_path)
    assert not any(module.training for module in loaded.modules())
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name


def test_towers_that_are_to_be_halved_are_both(tmp_path: Path) -> None:
    """The structure tower is as large as the other."""
    model = SSVP(TINY_VIT)
    checkpoint.save_towers(model.clip, model.dino, tmp_path, half=True)
    for name in (CLIP_FILE, DINO_FILE):
        found = load_file(tmp_path / name).values()
        assert {t.dtype for t in found if t.ndim > 1} == {torch.float16}, name


def test_each_file_that_training_starts_from_has_its_digest(tmp_path: Path) -> None:
    """Another tower, or other rarity experts, make another run; what else lies there does not."""
    names = ("clip.safetensors", "dino.safetensors", "rarity.safetensors")
    for name in (*names, "curves.csv"):
        (tmp_path / name).write_text(name)
    before = checkpoint.towers_digests(tmp_path)
    assert len(set(before)) == len(names)
    for number, name in enumerate(names):
        (tmp_path / name).write_text("other")
        assert checkpoint.towers_digests(tmp_path)[number] != before[number]
