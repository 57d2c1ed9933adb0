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
from torch import Tensor

from model.backbones.features import TowerFeatures
from model.data.images import ImageBatch, read_row
from model.data.row import ManifestRow
from model.preprocess import TowerImages
from model.ssvp.model import SSVP


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
    """Run the towers in bf16 and return their tokens in fp32, the precision of the heads."""
    with torch.autocast(device.type, dtype=torch.bfloat16):
        clip, dino = model.features(images.to(device))
    return clip.float(), None if dino is None else dino.float()


def tokens_of(model: SSVP, batch: ImageBatch, device: torch.device) -> TokenBatch:
    """Turn a batch of images into a batch of tokens."""
    clip, dino = run_towers(model, batch.images, device)
    return TokenBatch(clip, dino, batch.masks.to(device), batch.products)


class TokenCache:
    """Tokens of single images in a folder, fp16, one file an image.

    A file belongs to an image as it is (path, size, time of change) and to towers as they are (weights and
    what the config says of them): neither another product of the same name nor other towers can be taken for
    it.
    """

    def __init__(self, folder: Path, model: SSVP, device: torch.device) -> None:
        self._folder, self._model, self._device = folder, model, device
        self._towers = _fingerprint(model)
        folder.mkdir(parents=True, exist_ok=True)

    def fill(self, rows: Sequence[ManifestRow], progress: Callable[[int, int], None]) -> None:
        """Run the towers on every row whose tokens are not there yet."""
        for number, row in enumerate(rows):
            path = self._path(row)
            if not path.exists():
                self._write(
                    tokens_of(self._model, read_row(row, self._model.config), self._device), path
                )
            progress(number + 1, len(rows))

    def read(self, rows: Sequence[ManifestRow]) -> TokenBatch:
        """Read the tokens of some rows as one batch."""
        files = [load_file(self._path(row)) for row in rows]
        joined = {k: torch.cat([f[k] for f in files]).to(self._device) for k in files[0]}
        masks = joined.pop("masks")
        clip, dino = (_unpack(joined, tower) for tower in ("clip", "dino"))
        if clip is None:
            raise ValueError(f"{self._folder} holds no tokens of the CLIP tower")
        return TokenBatch(clip, dino, masks, [row.product for row in rows])

    def _write(self, batch: TokenBatch, path: Path) -> None:
        tensors = {**_pack(batch.clip, "clip"), "masks": batch.masks.cpu()}
        if batch.dino is not None:
            tensors |= _pack(batch.dino, "dino")
        partial = path.with_suffix(f".{os.getpid()}.partial")
        save_file(tensors, partial)
        partial.replace(path)

    def _path(self, row: ManifestRow) -> Path:
        files = [row.image] if row.mask is None else [row.image, row.mask]
        states = [(str(f.resolve()), f.stat().st_size, f.stat().st_mtime_ns) for f in files]
        key = hashlib.sha256(json.dumps([self._towers, states]).encode()).hexdigest()
        return self._folder / f"{key[:32]}.safetensors"


def _pack(features: TowerFeatures, tower: str) -> dict[str, Tensor]:
    named = {f"{tower}.patches.{i}": t for i, t in enumerate(features.patch_tokens)}
    named[f"{tower}.class"] = features.class_token
    return {k: v.half().cpu().contiguous() for k, v in named.items()}


def _unpack(named: dict[str, Tensor], tower: str) -> TowerFeatures | None:
    if f"{tower}.class" not in named:
        return None
    levels = sum(k.startswith(f"{tower}.patches.") for k in named)
    patches = (named[f"{tower}.patches.{i}"] for i in range(levels))
    return TowerFeatures(named[f"{tower}.class"], tuple(patches)).float()


def _fingerprint(model: SSVP) -> str:
    """Return the SHA-256 over the towers' weights and all the config says of what they are shown and asked."""
    values = model.config.to_dict()
    facts = {k: v for k, v in values.items() if k.startswith(("clip_", "dino_")) or k == "grid"}
    digest = hashlib.sha256(json.dumps([facts, model.config.uses_dino]).encode())
    for tower in model.towers():
        for tensor in tower.state_dict().values():
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()
