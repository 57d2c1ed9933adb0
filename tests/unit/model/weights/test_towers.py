"""Weights files of every format people have, made here, give the towers they came from."""

import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from model.backbones.clip import ClipTower
from model.backbones.dinov3 import DinoTower
from model.config import SSVPConfig
from model.weights.files import WeightsError, read_weights
from model.weights.towers import load_clip, load_dino
from tests.configs import MICRO, TINY_VIT

State = dict[str, Tensor]
CONVNEXT = replace(TINY_VIT, dino_model="convnext_tiny", dino_kwargs=MICRO.dino_kwargs)
PLAIN_VIT = replace(
    TINY_VIT,
    dino_model="vit_small_patch16_224",
    dino_kwargs={"embed_dim": 48, "depth": 4, "num_heads": 2},
)


def _save(state: State, path: Path) -> None:
    save_file({k: v.contiguous() for k, v in state.items()}, path)


def _checkpoint(state: State, path: Path) -> None:
    torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in state.items()}}, path)


class _Archive(nn.Module):
    """Parameters under dotted names, as a scripted CLIP has them, and OpenAI's three numbers."""

    def __init__(self, state: State) -> None:
        super().__init__()
        for name, value in state.items():
            *parents, leaf = name.split(".")
            holder: nn.Module = self
            for parent in parents:
                if parent not in holder._modules:
                    holder.add_module(parent, nn.Module())
                holder = holder.get_submodule(parent)
            holder.register_buffer(leaf, value)
        facts = (
            ("input_resolution", "context_length", "vocab_size") if "visual.proj" in state else ()
        )
        for name in facts:
            self.register_buffer(name, torch.tensor(7))

    def forward(self, x: Tensor) -> Tensor:
        """Do nothing: the file is only read."""
        return x


def _torchscript(state: State, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(_Archive(state)).save(str(path))


FORMATS = pytest.mark.parametrize(
    ("name", "write"),
    [
        ("weights.safetensors", _save),
        ("plain.pt", torch.save),
        ("checkpoint.pth", _checkpoint),
        ("openai.pt", _torchscript),
    ],
    ids=["safetensors", "state dict", "checkpoint", "torchscript"],
)


def _seeded(build: Callable[[SSVPConfig], Any], config: SSVPConfig, seed: int) -> Any:
    torch.manual_seed(seed)
    tower = build(config).eval()
    with torch.no_grad():
        for parameter in tower.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape))
    return tower


def _noise(size: int) -> Tensor:
    return torch.randint(0, 256, (2, 3, size, size), dtype=torch.uint8)


def _same(one: Any, other: Any, size: int) -> None:
    images = _noise(size)
    with torch.inference_mode():
        a, b = one(images), other(images)
    assert torch.equal(a.class_token, b.class_token)
    assert all(torch.equal(x, y) for x, y in zip(a.patch_tokens, b.patch_tokens, strict=True))


@FORMATS
def test_every_format_gives_the_tower_it_was_made_from(
    tmp_path: Path, name: str, write: Callable[[State, Path], None]
) -> None:
    """Both towers answer bit for bit as the ones whose weights were written."""
    clip, other_clip = (_seeded(ClipTower, TINY_VIT, seed) for seed in (1, 2))
    write(clip.model.state_dict(), tmp_path / name)
    load_clip(other_clip, tmp_path / name)
    _same(clip, other_clip, TINY_VIT.clip_size_px)
    for config in (TINY_VIT, CONVNEXT, PLAIN_VIT):
        dino, other_dino = (_seeded(DinoTower, config, seed) for seed in (1, 2))
        write(dino.model.state_dict(), tmp_path / name)
        load_dino(other_dino, tmp_path / name)
        _same(dino, other_dino, config.dino_size_px)


def test_half_precision_weights_become_fp32(tmp_path: Path) -> None:
    """OpenAI's files are fp16; the towers hold the same values in fp32."""
    clip, other = (_seeded(ClipTower, TINY_VIT, seed) for seed in (1, 2))
    halves = {
        k: v.half() if v.is_floating_point() else v for k, v in clip.model.state_dict().items()
    }
    torch.save(halves, tmp_path / "half.pt")
    load_clip(other, tmp_path / "half.pt")
    found = other.model.state_dict()
    assert all(torch.equal(found[k], v.float()) for k, v in halves.items())
    assert found["visual.proj"].dtype == torch.float32


def test_position_embeddings_are_resized_to_the_towers_image(tmp_path: Path) -> None:
    """Weights of a tower for smaller images fit; all else is as it was."""
    for config in (TINY_VIT, MICRO):
        small = replace(config, clip_size_px=config.clip_size_px // 2)
        clip, other = _seeded(ClipTower, small, 1), _seeded(ClipTower, config, 2)
        _save(clip.model.state_dict(), tmp_path / "small.safetensors")
        load_clip(other, tmp_path / "small.safetensors")
        before, after = clip.model.state_dict(), other.model.state_dict()
        resized = [k for k in before if before[k].shape != after[k].shape]
        assert len(resized) == 1
        assert resized[0].endswith("positional_embedding")
        assert torch.equal(before[resized[0]][0], after[resized[0]][0])
        assert all(torch.equal(before[k], after[k]) for k in before if k != resized[0])


def test_half_precision_weights_can_be_resized(tmp_path: Path) -> None:
    """An fp16 file of a tower for smaller images: no CPU resizes halves."""
    small = replace(TINY_VIT, clip_size_px=TINY_VIT.clip_size_px // 2)
    clip, other = _seeded(ClipTower, small, 1), _seeded(ClipTower, TINY_VIT, 2)
    halves = {
        k: v.half() if v.is_floating_point() else v for k, v in clip.model.state_dict().items()
    }
    torch.save(halves, tmp_path / "half.pt")
    load_clip(other, tmp_path / "half.pt")
    assert torch.equal(other.model.state_dict()["visual.proj"], halves["visual.proj"].float())


def _metas_transformer(state: State) -> State:
    """Rename timm's DINOv3 ViT as Meta published it: the inverse of what is tested, written by hand."""
    found: State = {"mask_token": torch.zeros(1, 48), "rope_embed.periods": torch.ones(6)}
    for name, value in state.items():
        renamed = name.replace("reg_token", "storage_tokens")
        renamed = re.sub(r"\.gamma_([12])$", r".ls\1.gamma", renamed)
        found[renamed] = value
    for number in range(4):
        found[f"blocks.{number}.attn.qkv.bias"] = torch.zeros(144)
        found[f"blocks.{number}.attn.qkv.bias_mask"] = torch.ones(144)
    return found


def test_metas_own_vit_names_are_understood(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Storage tokens, layer scales, masked biases, rope periods: the same tower; and nothing is printed."""
    dino, other = (_seeded(DinoTower, TINY_VIT, seed) for seed in (1, 2))
    torch.save(_metas_transformer(dino.model.state_dict()), tmp_path / "dinov3.pth")
    load_dino(other, tmp_path / "dinov3.pth")
    _same(dino, other, TINY_VIT.dino_size_px)
    assert capsys.readouterr().out == ""


def test_biases_that_are_not_zero_are_not_dropped(tmp_path: Path) -> None:
    """Weights of the architecture with biases are refused by the one without, which would change them."""
    dino = _seeded(DinoTower, TINY_VIT, 1)
    state = _metas_transformer(dino.model.state_dict())
    state["blocks.2.attn.qkv.bias"][-1] = 0.5
    torch.save(state, tmp_path / "biased.pth")
    with pytest.raises(WeightsError, match="_qkvb"):
        load_dino(dino, tmp_path / "biased.pth")


def _metas_convnext(state: State) -> State:
    """Rename timm's ConvNeXt as Meta published it."""
    found: State = {}
    for name, value in state.items():
        renamed = name.replace("stem.", "downsample_layers.0.")
        renamed = re.sub(r"stages\.(\d)\.downsample\.(\d)", r"downsample_layers.\1.\2", renamed)
        renamed = re.sub(r"stages\.(\d)\.blocks\.(\d+)", r"stages.\1.\2", renamed)
        renamed = renamed.replace("conv_dw", "dwconv").replace("mlp.fc", "pwconv")
        found[renamed.replace("head.norm.", "norm.")] = value
    return found


def test_metas_own_convnext_names_are_understood(tmp_path: Path) -> None:
    """Downsampling layers, depthwise and pointwise convolutions, the last norm: the same tower."""
    dino, other = (_seeded(DinoTower, CONVNEXT, seed) for seed in (1, 2))
    torch.save(_metas_convnext(dino.model.state_dict()), tmp_path / "dinov3.pth")
    load_dino(other, tmp_path / "dinov3.pth")
    _same(dino, other, CONVNEXT.dino_size_px)


def test_a_wrong_file_says_what_differs(tmp_path: Path) -> None:
    """Names that are missing, names nobody knows and shapes that differ, the first few of each."""
    clip = _seeded(ClipTower, TINY_VIT, 1)
    state = dict(clip.model.state_dict())
    del state["visual.proj"]
    state["visual.head"] = torch.zeros(3)
    state["text_projection"] = torch.zeros(2, 2)
    _save(state, tmp_path / "wrong.safetensors")
    with pytest.raises(WeightsError) as caught:
        load_clip(clip, tmp_path / "wrong.safetensors")
    text = str(caught.value)
    assert "missing: visual.proj" in text
    assert "unknown: visual.head" in text
    assert "text_projection is [2, 2], not [32, 32]" in text
    many = {f"some.name.{i}": torch.zeros(1) for i in range(9)}
    _save(many, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match=r"some\.name\.3 and 5 more"):
        load_clip(clip, tmp_path / "other.safetensors")


def test_a_file_of_another_architecture_says_what_differs(tmp_path: Path) -> None:
    """Another width, and a ViT, a ResNet or a ConvNeXt in one another's places: one kind of error."""
    wider = replace(TINY_VIT, clip_config=_wider(TINY_VIT.clip_config), clip_size_px=32)
    path = tmp_path / "weights.pth"
    for source, target in ((wider, TINY_VIT), (TINY_VIT, MICRO), (MICRO, TINY_VIT)):
        torch.save(ClipTower(source).model.state_dict(), path)
        with pytest.raises(WeightsError, match="does not fit this model"):
            load_clip(ClipTower(target), path)
    vit, convnext = (DinoTower(c).model.state_dict() for c in (TINY_VIT, CONVNEXT))
    for state, config in (
        (_metas_transformer(vit), CONVNEXT),
        (_metas_convnext(convnext), TINY_VIT),
    ):
        torch.save(state, path)
        with pytest.raises(WeightsError, match="does not fit this model"):
            load_dino(DinoTower(config), path)


def _wider(config: Mapping[str, Any]) -> dict[str, Any]:
    vision = {**config["vision_cfg"], "width": 2 * config["vision_cfg"]["width"]}
    return {**config, "vision_cfg": vision}


class _Trap:
    """Would run code if it were unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return exec, ("raise SystemExit('unpickled')",)


def test_what_is_no_weights_file_is_refused_in_one_line(tmp_path: Path) -> None:
    """Nothing there, garbage, an empty dict, a pickle of something else: a message, and no code is run."""
    (tmp_path / "garbage.safetensors").write_bytes(b"\x00" * 40)
    (tmp_path / "garbage.pt").write_bytes(b"not a file of torch")
    torch.save({"epoch": 3}, tmp_path / "empty.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    torch.save({"x": _Trap()}, tmp_path / "trap.pt")
    for name in (
        "absent.pt",
        "garbage.safetensors",
        "garbage.pt",
        "empty.pt",
        "list.pt",
        "trap.pt",
    ):
        with pytest.raises(WeightsError, match=re.escape(name)) as caught:
            read_weights(tmp_path / name)
        assert "\n" not in str(caught.value)
