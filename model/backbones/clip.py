"""The CLIP tower: images to class and patch tokens, names to text embeddings. Wraps open_clip.

Knows open_clip's two kinds of image tower, ViT and ModifiedResNet (D17); the method sees neither.
"""

import gzip
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.modified_resnet import ModifiedResNet
from open_clip.tokenizer import SimpleTokenizer, default_bpe
from torch import Tensor, nn

from model.backbones.clip_values import resnet_values, transformer_values
from model.backbones.features import Normalise, TowerFeatures, token_width, tokens_on_grid
from model.config import SSVPConfig

CLIP_MERGES = 49152 - 256 - 2
BYTE_TOKENS = 2 * 256
SPECIAL_TOKENS = 2


def architecture(config: SSVPConfig) -> dict[str, Any]:
    """Return open_clip's model config with the image size of ours.

    Raises:
        ValueError: when open_clip knows no model of that name, or its image tower is neither a ViT nor a
            ModifiedResNet of its own.
    """
    found = dict(config.clip_config) or open_clip.get_model_config(config.clip_model)
    if found is None:
        raise ValueError(f"open_clip knows no model {config.clip_model!r}")
    if "timm_model_name" in found["vision_cfg"] or "hf_model_name" in found.get("text_cfg", {}):
        raise ValueError(
            f"{config.clip_model} has towers of other libraries; a ViT or ModifiedResNet of open_clip is needed"
        )
    vision = {**found["vision_cfg"], "image_size": config.clip_size_px}
    return {**found, "vision_cfg": vision}


def is_convolutional(config: SSVPConfig) -> bool:
    """Return whether the image tower is a ModifiedResNet: open_clip builds one from a list of layers.

    Raises:
        ValueError: see `architecture`.
    """
    return isinstance(architecture(config)["vision_cfg"]["layers"], list | tuple)


def build_tokenizer(vocab_size: int, context_length: int) -> SimpleTokenizer:
    """Build CLIP's byte-pair tokenizer with the first merges that fit a vocabulary.

    The full vocabulary gives CLIP's own tokenizer. A smaller one keeps the most frequent merges and spells
    rarer words from bytes, so any text still has ids.
    """
    merges = min(vocab_size - BYTE_TOKENS - SPECIAL_TOKENS, CLIP_MERGES)
    lines = gzip.decompress(Path(default_bpe()).read_bytes()).decode("utf-8").split("\n")
    with tempfile.NamedTemporaryFile(suffix=".gz") as kept:  # open_clip takes a path, not lines
        kept.write(gzip.compress("\n".join(lines[: merges + 1]).encode("utf-8")))
        kept.flush()
        return SimpleTokenizer(bpe_path=kept.name, context_length=context_length)


class ClipTower(nn.Module):
    """CLIP with its patch tokens and its text side opened.

    Attributes:
        joint_width: D, the width of the image-text space.
        level_widths: channels of each level's patch tokens.
        model: the open_clip module; its state dict is what `clip.safetensors` holds.
    """

    def __init__(self, config: SSVPConfig) -> None:
        super().__init__()
        arch = architecture(config)
        self.model: Any = open_clip.CLIP(
            embed_dim=arch["embed_dim"],
            vision_cfg=open_clip.CLIPVisionCfg(**arch["vision_cfg"]),
            text_cfg=open_clip.CLIPTextCfg(**arch["text_cfg"]),
            quick_gelu=arch.get("quick_gelu", False),
        )
        self.normalise = Normalise(config.clip_mean, config.clip_std)
        self.tokenizer = build_tokenizer(self.model.vocab_size, self.model.context_length)
        self.blocks = config.clip_blocks
        self.grid = config.grid
        self.joint_width = int(arch["embed_dim"])
        self.convolutional = isinstance(self.model.visual, ModifiedResNet)
        self.values = config.clip_tokens == "values"
        if self.values:
            self.level_widths: tuple[int, ...] = (self.joint_width,)
        elif self.convolutional:
            stem = int(
                arch["vision_cfg"]["width"]
            )  # stage b: 4 * 2^(b-1) stems wide, as many px a cell
            widenings = [4 * 2 ** (b - 1) for b in self.blocks]
            self.level_widths = tuple(
                token_width(stem * w, config.clip_size_px // w, self.grid) for w in widenings
            )
        else:
            self.level_widths = (int(arch["vision_cfg"]["width"]),) * config.levels

    @property
    def image_model(self) -> nn.Module:
        """The part that sees images."""
        visual: nn.Module = self.model.visual
        return visual

    @property
    def text_width(self) -> int:
        """Width of a token embedding, before the projection to D."""
        return int(self.model.token_embedding.weight.shape[1])

    @property
    def temperature(self) -> float:
        """CLIP's own softmax temperature, the inverse of its logit scale."""
        return float((-self.model.logit_scale.detach()).exp())

    def joint_projection(self) -> Tensor | None:
        """Return the `[D, Dc]` map from patch tokens to the joint space, where the tower has one (D10)."""
        if self.convolutional or self.values:
            return None
        projection: Tensor = self.model.visual.proj
        return projection.detach().T

    def forward(self, images: Tensor) -> TowerFeatures:
        """Return eq. 1's CLIP side; the class token lies in the joint space, `[B, D]`.

        Args:
            images: uint8 `[B, 3, S, S]`.
        """
        pixels = self.normalise(images)
        return self._stages(pixels) if self.convolutional else self._transformer(pixels)

    def _stages(self, pixels: Tensor) -> TowerFeatures:
        # All five maps are asked for and then chosen from: open_clip stops a ResNet at the last index asked
        # for and would pool the wrong stage. Index 0 is the stem, so stage b stands at index b.
        found = self.model.visual.forward_intermediates(pixels, indices=None)
        if self.values:
            tokens = resnet_values(self.model.visual, found["image_intermediates"][-1], self.grid)
            return TowerFeatures(found["image_features"], (tokens,))
        maps = [found["image_intermediates"][b] for b in self.blocks]
        return TowerFeatures(
            found["image_features"], tuple(tokens_on_grid(m, self.grid) for m in maps)
        )

    def _transformer(self, pixels: Tensor) -> TowerFeatures:
        if self.values:
            return self._transformer_values(pixels)
        found = self.model.visual.forward_intermediates(
            pixels,
            indices=[b - 1 for b in self.blocks],
            normalize_intermediates=True,  # ln_post, frozen (D10)
            output_fmt="NLC",
        )
        return TowerFeatures(found["image_features"], tuple(found["image_intermediates"]))

    def _transformer_values(self, pixels: Tensor) -> TowerFeatures:
        before_last = len(self.model.visual.transformer.resblocks) - 2
        found = self.model.visual.forward_intermediates(
            pixels, indices=[before_last], output_fmt="NLC"
        )
        tokens = transformer_values(self.model.visual, found["image_intermediates"][0])
        return TowerFeatures(found["image_features"], (tokens,))

    def tokenise(self, text: str, length: int) -> Tensor:
        """Return the ids of a text without start and end marks, at most `length` of them, int64."""
        return torch.tensor(self.tokenizer.encode(text)[:length], dtype=torch.long)

    def encode_embeddings(self, embeddings: Tensor, end: Tensor) -> Tensor:
        """Run the text tower on token embeddings instead of ids.

        Args:
            embeddings: `[T, S, W]`, S up to the context length; what follows the end mark is without effect,
                the mask being causal.
            end: int64 `[T]`, position of the end mark in each row.

        Returns:
            Text embeddings `[T, D]`, not normalised.
        """
        length = embeddings.shape[1]
        x = embeddings + self.model.positional_embedding[:length]
        x = self.model.transformer(x, attn_mask=self.model.attn_mask[:length, :length])
        x = self.model.ln_final(x)  # [T, S, W]
        pooled = x[torch.arange(len(x), device=x.device), end]  # [T, W]
        result: Tensor = pooled @ self.model.text_projection
        return result

    def encode_captions(self, captions: Sequence[str]) -> Tensor:
        """Return the text embeddings `[T, D]` of whole sentences, not normalised."""
        ids = self.tokenizer(list(captions)).to(self.model.positional_embedding.device)
        embedded: Tensor = self.model.encode_text(ids)
        return embedded
