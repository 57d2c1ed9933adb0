"""The GPU's benchmark, as far as it goes without one: its tables fill, and it counts all of a tower's work."""

import pytest
import torch

from benchmarks.gpu.timing import Ceiling, Table
from benchmarks.gpu.towers import flops, noise, print_precision, print_towers
from benchmarks.gpu.whole import print_torch_heads
from model.assembly import SSVP
from model.backbones.clip import ClipTower
from model.backbones.dinov3 import DinoTower
from tests.configs import TINY_VIT

CPU = torch.device("cpu")
BATCHES = (1, 2)


def _rows(printed: str) -> list[list[str]]:
    """Return the cells of the one table, without its heading."""
    lines = [line for line in printed.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_towers_and_heads_are_timed_for_every_batch(capsys: pytest.CaptureFixture[str]) -> None:
    """Each way of launching them has its column, each size its row."""
    model, ceiling = SSVP(TINY_VIT).eval(), Ceiling(1e12)
    assert model.dino is not None
    print_towers(model.clip, model.dino, TINY_VIT, torch.float32, BATCHES, ceiling, compiled=False)
    rows = _rows(capsys.readouterr().out)
    assert [row[0] for row in rows] == ["1", "2"]
    assert all(float(row[place]) > 0 for row in rows for place in (1, 3, 5, 6, 7, 9))
    print_torch_heads(model, torch.float32, BATCHES, ceiling)
    rows = _rows(capsys.readouterr().out)
    assert [row[0] for row in rows] == ["1", "2"]
    assert all(float(row[place]) > 0 for row in rows for place in (1, 2, 4, 5))


def test_half_precision_is_compared_with_fp32(capsys: pytest.CaptureFixture[str]) -> None:
    """Tokens beyond the end of fp16 are told; bf16 has room for them, and fewer digits."""
    dino = DinoTower(TINY_VIT).eval()
    images = noise(TINY_VIT, 1, CPU).dino
    print_precision([dino], [images])
    fp16, bf16 = _rows(capsys.readouterr().out)
    assert (fp16[:2], bf16[:2]) == (["DinoTower", "fp16"], ["DinoTower", "bf16"])
    assert 0 < float(fp16[4]) < float(bf16[4])
    assert fp16[5] == bf16[5] == "yes"
    with torch.no_grad():
        dino.model.patch_embed.proj.weight.fill_(1e4)
    print_precision([dino], [images])
    fp16, bf16 = _rows(capsys.readouterr().out)
    assert (fp16[5], bf16[5]) == ("NO", "yes")


@pytest.mark.parametrize("kind", [ClipTower, DinoTower])
def test_every_matrix_product_of_a_tower_is_counted(
    kind: type[ClipTower] | type[DinoTower],
) -> None:
    """At least two operations for each weight of its blocks and each token, attention's too."""
    tower = kind(TINY_VIT).eval()
    images = noise(TINY_VIT, 2, CPU)
    pixels = images.clip if isinstance(tower, ClipTower) else images.dino
    with torch.inference_mode():
        tokens = tower(pixels).patch_tokens[0].shape[1]
    blocks = [p for name, p in tower.image_model.named_parameters() if "blocks" in name]
    weights = sum(p.numel() for p in blocks if p.ndim == 2)
    assert weights > 0
    assert flops(tower, pixels) > 2 * weights * tokens
    assert torch.backends.mha.get_fastpath_enabled()


def test_a_table_has_its_columns() -> None:
    """A row of another length is a mistake."""
    with pytest.raises(ValueError, match="1 cells in 2 columns"):
        Table("times", "batch", "ms").row(1)
