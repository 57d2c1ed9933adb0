"""What published weights expect of their model, in open_clip's and timm's words, held against a config.

Another activation, mean or deviation changes no name and no shape, so weights load all the same and are wrong.
Knows both libraries' tables; knows neither files nor the network.
"""

from collections.abc import Sequence
from typing import Any

from open_clip.pretrained import get_pretrained_cfg as clip_pretrained
from timm.models import get_pretrained_cfg as timm_pretrained

from model.backbones.clip import architecture
from model.config import SSVPConfig
from model.weights.files import WeightsError

OPENAI = "openai"
_OTHERS = (
    "; of a file with other weights say whose they are, --set {}_weights=TAG, or nothing for TAG"
)
# Ends open_clip's name of an architecture with OpenAI's approximation of GELU.
_QUICK = "-quickgelu"


def check_clip(config: SSVPConfig, tag: str) -> None:
    """Compare a config with what CLIP weights of a tag were trained with; what nobody published passes.

    Raises:
        WeightsError: activation, mean or deviation differ, naming the options that change them.
    """
    name = config.clip_model.removesuffix(_QUICK)
    found = clip_pretrained(name, tag)
    quick = tag == OPENAI or found.get("quick_gelu", False)
    if (found or quick) and quick != architecture(config).get("quick_gelu", False):
        raise WeightsError(
            f"{tag} weights of {name} were trained with {'QuickGELU' if quick else 'GELU'};"
            f" --set clip_model={name + _QUICK if quick else name}{_OTHERS.format('clip')}"
        )
    if found:
        _check_pixels(config, "clip", found["mean"], found["std"])


def check_dino(config: SSVPConfig) -> None:
    """Compare a config with what its structure tower's weights were trained with; unknown ones pass.

    Raises:
        WeightsError: mean or deviation differ, naming the options that change them.
    """
    found = published_dino(config)
    if found is not None:
        _check_pixels(config, "dino", found.mean, found.std)


def published_dino(config: SSVPConfig) -> Any | None:
    """Return timm's record of a config's DINO weights; None where it has none."""
    if not config.dino_weights:
        return None
    try:
        return timm_pretrained(f"{config.dino_model}.{config.dino_weights}")
    except RuntimeError:  # how timm says that it knows the architecture, but not the tag
        return None


def _check_pixels(
    config: SSVPConfig, tower: str, mean: Sequence[float], std: Sequence[float]
) -> None:
    expected = {f"{tower}_mean": tuple(mean), f"{tower}_std": tuple(std)}
    other = {k: v for k, v in expected.items() if v != getattr(config, k)}
    if other:
        weights = (
            f"{getattr(config, f'{tower}_weights')} weights of {getattr(config, f'{tower}_model')}"
        )
        options = " ".join(f"--set {k}=[{','.join(map(str, v))}]" for k, v in other.items())
        raise WeightsError(
            f"{weights} were trained on pixels scaled otherwise; {options}{_OTHERS.format(tower)}"
        )
