"""What the frozen towers say of training images, computed as they come or kept on disk.

The towers never change, so with enough disk each image needs them once, not once an epoch. Knows towers and
files; knows neither prompts nor losses.
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from model.assembly import SSVP
from model.backbones.features import TowerFeatures
from model.config import SSVPConfig
from model.data.images import ImageBatch, read_row
from model.data.row import ManifestRow
from model.precision import autocast
from model.preprocess import TowerImages
from model.runs import weights_digest

LEVEL = "patches."


@dataclass(frozen=True, eq=False)
class TokenBatch:
    """A training batch behind the towers, fp32.

    Attributes:
        clip: CLIP's tokens.
        dino: DINO's tokens; None for a model without that tower.
        masks: bool `[B, S, S]`.
        products: spoken name of each image's product.
    """

    clip: TowerFeatures
    dino: TowerFeatures | None
    masks: Tensor
    products: list[str]


@torch.no_grad()
def run_towers(
    model: SSVP, images: TowerImages, device: torch.device
) -> tuple[TowerFeatures, TowerFeatures | None]:
    """Run the towers in bf16 where that is faster; return their tokens in fp32, the precision of the heads."""
    with autocast(device):
        clip, dino = model.features(images.to(device))
    return clip.float(), None if dino is None else dino.float()


def tokens_of(model: SSVP, batch: ImageBatch, device: torch.device) -> TokenBatch:
    """Turn a batch of images into a batch of tokens."""
    clip, dino = run_towers(model, batch.images, device)
    return TokenBatch(clip, dino, batch.masks.to(device), batch.products)


class TokenCache:
    """Tokens of single images in a folder, fp16, one file an image and tower.

    A file belongs to an image as it is (path, size, time of change) and to a tower as it is (weights and what
    the config says of it): neither another image of the same name nor another tower can be taken for it.
    Models that share a tower share its files.
    """

    def __init__(self, folder: Path, model: SSVP, device: torch.device) -> None:
        self._folder, self._model, self._device = folder, model, device
        self._towers = {"clip": _fingerprint(model.clip, model.config, "clip")}
        if model.dino is not None:
            self._towers["dino"] = _fingerprint(model.dino, model.config, "dino")
        folder.mkdir(parents=True, exist_ok=True)

    def fill(self, rows: Sequence[ManifestRow], progress: Callable[[int, int], None]) -> None:
        """Run the towers on every row whose tokens are not all there yet."""
        for number, row in enumerate(rows):
            if not all(path.exists() for path in self._paths(row).values()):
                images = read_row(row, self._model.config)
                self._write(tokens_of(self._model, images, self._device), self._paths(row))
            progress(number + 1, len(rows))

    def read(self, rows: Sequence[ManifestRow]) -> TokenBatch:
        """Read the tokens of some rows as one batch.

        Raises:
            FileNotFoundError: for a row that was not there, or was another image, when the cache was filled.
        """
        paths = [self._paths(row) for row in rows]
        clip, masks = self._join([p["clip"] for p in paths])
        dino = self._join([p["dino"] for p in paths])[0] if "dino" in self._towers else None
        return TokenBatch(clip, dino, masks, [row.product for row in rows])

    def _join(self, paths: Sequence[Path]) -> tuple[TowerFeatures, Tensor]:
        files = [load_file(path) for path in paths]
        joined = {k: torch.cat([f[k] for f in files]).to(self._device) for k in files[0]}
        levels = sum(k.startswith(LEVEL) for k in joined)
        patches = tuple(joined[f"{LEVEL}{i}"] for i in range(levels))
        return TowerFeatures(joined["class"], patches).float(), joined["masks"]

    def _write(self, batch: TokenBatch, paths: dict[str, Path]) -> None:
        for tower, features in (("clip", batch.clip), ("dino", batch.dino)):
            if features is None:
                continue
            tensors = {f"{LEVEL}{i}": t.half() for i, t in enumerate(features.patch_tokens)}
            tensors |= {"class": features.class_token.half(), "masks": batch.masks}
            partial = paths[tower].with_suffix(f".{os.getpid()}.partial")
            save_file({k: v.cpu().contiguous() for k, v in tensors.items()}, partial)
            partial.replace(paths[tower])

    def _paths(self, row: ManifestRow) -> dict[str, Path]:
        files = [row.image] if row.mask is None else [row.image, row.mask]
        states = [(str(f.resolve()), f.stat().st_size, f.stat().st_mtime_ns) for f in files]
        found = {}
        for tower, fingerprint in self._towers.items():
            key = hashlib.sha256(json.dumps([fingerprint, states]).encode()).hexdigest()
            found[tower] = self._folder / f"{key[:32]}.safetensors"
        return found


def _fingerprint(tower: nn.Module, config: SSVPConfig, name: str) -> str:
    """Return the SHA-256 over a tower's weights and all the config says of what it is shown and asked."""
    values = config.to_dict()
    facts = {k: v for k, v in values.items() if k.startswith(f"{name}_") or k == "grid"}
    return hashlib.sha256(f"{json.dumps(facts)}{weights_digest(tower)}".encode()).hexdigest()
