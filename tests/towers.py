"""A run folder with towers of random weights, as fetching or pretraining would leave it."""

from pathlib import Path

import torch

from model.assembly import SSVP
from model.checkpoint import CONFIG_FILE, save_json, save_towers
from model.config import SSVPConfig


def write_towers(folder: Path, config: SSVPConfig) -> Path:
    """Write the towers of a config, the same weights each time."""
    torch.manual_seed(0)
    model = SSVP(config)
    folder.mkdir(parents=True)
    save_towers(model.clip, model.dino, folder)
    save_json(config.to_dict(), folder / CONFIG_FILE)
    return folder
