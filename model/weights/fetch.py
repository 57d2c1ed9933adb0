"""From files or the hub to a run folder with towers that training and `build` start from.

Knows the order of the steps; `hub` downloads, `files` reads, `towers` fits the weights.
"""

from collections.abc import Callable
from pathlib import Path

from model.assembly import build_dino
from model.backbones.clip import ClipTower
from model.bundle import sha256
from model.checkpoint import CONFIG_FILE, HISTORY_FILE, save_json, save_towers
from model.config import SSVPConfig
from model.weights import hub
from model.weights.files import is_torchscript
from model.weights.published import OPENAI, check_clip, check_dino
from model.weights.towers import load_clip, load_dino


def fetch_towers(
    config: SSVPConfig,
    folder: Path,
    clip_path: Path | None,
    dino_path: Path | None,
    tell: Callable[[str], None],
) -> None:
    """Write a config's towers with published weights, and where they came from.

    Args:
        config: the model.
        folder: receives towers, `config.json` and `history.json`.
        clip_path: CLIP's weights; None to download them.
        dino_path: DINO's weights; None to download them.
        tell: told each step.

    Raises:
        WeightsError: weights cannot be had, read, or are of another model, be it only in its activation or its
            pixels' scale.
    """
    openai = clip_path is not None and is_torchscript(clip_path)  # nobody else ships CLIP so
    check_clip(config, OPENAI if openai else config.clip_weights)
    if config.uses_dino:
        check_dino(config)
    sources = {}
    clip, dino = ClipTower(config), build_dino(config)
    path, sources["clip"] = _find(clip_path, lambda: hub.clip_file(config), tell)
    load_clip(clip, path)
    if dino is not None:
        path, sources["dino"] = _find(dino_path, lambda: hub.dino_file(config), tell)
        load_dino(dino, path)
    folder.mkdir(parents=True, exist_ok=True)
    save_towers(clip, dino, folder)
    save_json({"weights": sources}, folder / HISTORY_FILE)
    save_json(config.to_dict(), folder / CONFIG_FILE)  # last: a folder with a config is whole


def _find(
    given: Path | None, published: Callable[[], hub.HubFile], tell: Callable[[str], None]
) -> tuple[Path, dict[str, str]]:
    if given is None:
        file = published()
        tell(f"downloading {file.name} of {file.repository}")
        path, source = hub.download(file), f"{file.repository}/{file.name}"
    else:
        path, source = given, given.name
    tell(f"reading {source}")
    return path, {"source": source, "sha256": sha256(path) if path.is_file() else ""}
