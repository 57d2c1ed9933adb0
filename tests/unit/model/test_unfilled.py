"""Towers that are loaded from files: nothing is left of the memory they were built in."""

from pathlib import Path

import pytest
import torch

from model.assembly import build_dino
from model.backbones.clip import ClipTower
from model.checkpoint import load_towers, save_towers
from model.config import SSVP_NANO, SSVPConfig
from model.unfilled import Unfilled
from tests.configs import TINY_VIT


@pytest.mark.parametrize("config", [TINY_VIT, SSVP_NANO], ids=lambda c: c.name)
def test_loaded_towers_have_all_that_saved_ones_have(config: SSVPConfig, tmp_path: Path) -> None:
    """Weights come from the files; what no file holds, such as positions and means, is as always."""
    saved = ClipTower(config), build_dino(config)
    save_towers(*saved, tmp_path)
    for before, after in zip(saved, load_towers(tmp_path, config), strict=True):
        assert before is not None
        assert after is not None
        kept = {**dict(before.named_parameters()), **dict(before.named_buffers())}
        loaded = {**dict(after.named_parameters()), **dict(after.named_buffers())}
        assert kept.keys() == loaded.keys()
        for name, tensor in kept.items():
            assert torch.equal(loaded[name], tensor), name


def test_nothing_random_is_drawn_for_weights_that_are_loaded() -> None:
    """It would take longer than reading them."""
    state = torch.get_rng_state()
    with Unfilled():
        build_dino(TINY_VIT)
    assert torch.equal(torch.get_rng_state(), state)
    build_dino(TINY_VIT)
    assert not torch.equal(torch.get_rng_state(), state)
