"""Models of random weights: moved off their start, or in a run folder as fetching or pretraining leaves it."""

from pathlib import Path

import torch
from torch import nn

from model.assembly import SSVP
from model.checkpoint import CONFIG_FILE, save_json, save_towers
from model.config import SSVPConfig


def disturb(*modules: nn.Module) -> None:
    """Move each parameter off its start value, at which many have no effect."""
    with torch.no_grad():
        for module in modules:
            for parameter in module.parameters():
                parameter.add_(torch.randn(parameter.shape) * 0.1)


def write_towers(folder: Path, config: SSVPConfig) -> Path:
    """Write the towers of a config, the same weights each time."""
    torch.manual_seed(0)
    model = SSVP(config)
    folder.mkdir(parents=True)
    save_towers(model.clip, model.dino, folder)
    save_json(config.to_dict(), folder / CONFIG_FILE)
    return folder
