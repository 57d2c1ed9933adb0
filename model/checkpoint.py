"""Run folders: what pretraining and training leave for one another.

A run folder holds `config.json`, weights as safetensors, `history.json`, and while a run is unfinished
`resume.pt` (see model/resume.py). Knows files and whose weights they hold; trains nothing.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from model.assembly import SSVP, build_dino
from model.backbones.clip import ClipTower
from model.backbones.dinov3 import DinoTower
from model.bundle import CLIP_FILE, DINO_FILE, PROMPTS_FILE, sha256
from model.config import SSVPConfig
from model.ssvp.heads import SSVPHeads
from model.ssvp.rarity import RarityExperts
from model.unfilled import Unfilled

TRAINED_HEADS_FILE = "heads.safetensors"
RARITY_FILE = "rarity.safetensors"
CONFIG_FILE = "config.json"
HISTORY_FILE = "history.json"


def halved(tensor: Tensor) -> Tensor:
    """Return a matrix or kernel in fp16 and anything else as it is: a small variance would lose its digits."""
    return tensor.half() if tensor.is_floating_point() and tensor.ndim > 1 else tensor


def save_module(module: nn.Module, path: Path, *, half: bool = False) -> None:
    """Write a module's state dict as safetensors, via a neighbour file so that no half file is ever seen.

    Args:
        module: any.
        path: the file.
        half: write `halved` weights; whoever loads them into fp32 gets fp32.
    """
    state = {k: v.detach().cpu().contiguous() for k, v in module.state_dict().items()}
    if half:
        state = {k: halved(v) for k, v in state.items()}
    partial = path.with_suffix(".partial")
    save_file(state, partial)
    partial.chmod(0o644)  # safetensors writes for its owner alone; a bundle is served by others
    partial.replace(path)


def load_module(module: nn.Module, path: Path) -> None:
    """Fill a module from safetensors, strictly.

    Raises:
        ValueError: when names or shapes differ, naming the file.
    """
    _fill(module, load_file(path), path)


def _fill(module: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    try:
        module.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit the model: {error}") from None


def save_json(values: Mapping[str, Any], path: Path) -> None:
    """Write JSON a person can read."""
    path.write_text(json.dumps(values, indent=2) + "\n")


def load_config(run: Path) -> SSVPConfig:
    """Read the config of a run folder."""
    return SSVPConfig.from_dict(json.loads((run / CONFIG_FILE).read_text()))


def load_history(run: Path) -> dict[str, Any]:
    """Read what a finished run recorded of itself; empty for an unfinished one."""
    path = run / HISTORY_FILE
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def save_towers(
    clip: ClipTower, dino: DinoTower | None, folder: Path, *, half: bool = False
) -> None:
    """Write the towers there are; `half` as in `save_module`."""
    save_module(clip.model, folder / CLIP_FILE, half=half)
    if dino is not None:
        save_module(dino.model, folder / DINO_FILE, half=half)


def towers_digests(folder: Path) -> list[str]:
    """Return the SHA-256 of each file that training may start from: both towers and the rarity experts."""
    files = (folder / name for name in (CLIP_FILE, DINO_FILE, RARITY_FILE))
    return [sha256(path) for path in files if path.exists()]


def share_towers(source: Path, target: Path) -> None:
    """Put the towers' files of one folder into another: hard links where the disk can, gigabytes saved.

    Each appears whole or not at all.
    """
    for name in (CLIP_FILE, DINO_FILE):
        here, there = source / name, target / name
        if not here.exists() or (there.exists() and there.samefile(here)):
            continue
        partial = there.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        try:
            partial.hardlink_to(here)
        except OSError:
            shutil.copyfile(here, partial)
        partial.replace(there)


def load_towers(folder: Path, config: SSVPConfig) -> tuple[ClipTower, DinoTower | None]:
    """Build the towers a config asks for with the weights of a run or bundle folder."""
    with Unfilled():
        clip, dino = ClipTower(config), build_dino(config)
    load_module(clip.model, folder / CLIP_FILE)
    if dino is not None:
        load_module(dino.model, folder / DINO_FILE)
    return clip, dino


def load_pretrained(
    clip: ClipTower, dino: DinoTower, rarity: RarityExperts | None, run: Path
) -> None:
    """Fill towers and rarity experts from a finished pretraining, at whatever image size it was.

    Args:
        clip: the tower to fill.
        dino: likewise.
        rarity: likewise; None for a model that has none, whose pretraining keeps none.
        run: folder of the pretraining.

    Raises:
        FileNotFoundError: the folder lacks one of them.
        ValueError: the weights are of another architecture, naming the file.
    """
    for name in (CLIP_FILE, DINO_FILE) if rarity is None else (CLIP_FILE, DINO_FILE, RARITY_FILE):
        if not (run / name).exists():
            raise FileNotFoundError(
                f"{run / name} is missing: no finished pretraining to start from"
            )
    fitted = resized_attention_pool(load_file(run / CLIP_FILE), clip.model)
    _fill(clip.model, fitted, run / CLIP_FILE)
    load_module(dino.model, run / DINO_FILE)
    if rarity is not None:
        load_module(rarity, run / RARITY_FILE)


def load_untrained(run: Path, config: SSVPConfig) -> SSVP:
    """Build a model around the towers of a run folder; its rarity experts start as pretraining left them."""
    model = SSVP(config, *load_towers(run, config))
    rarity = model.heads.rarity if isinstance(model.heads, SSVPHeads) else None
    if rarity is not None and (run / RARITY_FILE).exists():
        load_module(rarity, run / RARITY_FILE)
    return model


def load_model(run: Path) -> SSVP:
    """Build the whole trained model of a run folder, in evaluation mode."""
    config = load_config(run)
    model = SSVP(config, *load_towers(run, config))
    load_module(model.prompts, run / PROMPTS_FILE)
    load_module(model.heads, run / TRAINED_HEADS_FILE)
    return model.eval()


def resized_attention_pool(state: Mapping[str, Tensor], target: nn.Module) -> dict[str, Tensor]:
    """Return a CLIP state dict whose pooling position embedding fits `target`'s image size, bicubic.

    Only a ModifiedResNet has one; any other state dict comes back unchanged.
    """
    key = "visual.attnpool.positional_embedding"
    wanted = target.state_dict().get(key)
    result = dict(state)
    if wanted is None or wanted.shape == state[key].shape:
        return result
    first, rest = state[key][:1], state[key][1:]
    old, new = int(len(rest) ** 0.5), int((len(wanted) - 1) ** 0.5)
    square = rest.T.unflatten(-1, (old, old))[None]  # [1, C, old, old]
    resized = nn.functional.interpolate(square, (new, new), mode="bicubic", align_corners=False)
    result[key] = torch.cat([first, resized[0].flatten(1).T])
    return result
