"""Which run a folder holds: it goes on, or is finished, only as the run that was asked for.

Knows recipes as JSON and digests; knows neither models nor training.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from model.checkpoint import save_json
from model.resume import RESUME_FILE

RECIPE_FILE = "recipe.json"


class OtherRecipeError(Exception):
    """A run folder holds a run of another recipe, finished or not."""


def is_finished(run: Path, weights: str, recipe: Mapping[str, Any]) -> bool:
    """Return whether a folder holds this very run, finished.

    Args:
        run: the folder.
        weights: name of the file that a finished run has.
        recipe: all that decides the outcome.

    Raises:
        OtherRecipeError: it holds another finished run.
    """
    if (run / RESUME_FILE).exists() or not (run / weights).exists():
        return False
    path = run / RECIPE_FILE
    check_recipe(json.loads(path.read_text()) if path.exists() else None, recipe, run)
    return True


def check_recipe(found: Any, asked: Mapping[str, Any], run: Path) -> None:
    """Compare what a folder holds with what is asked for.

    Raises:
        OtherRecipeError: they differ.
    """
    if found != plain(asked):
        raise OtherRecipeError(
            f"{run} holds a run of another recipe, other towers or other data;"
            " take another folder, or remove that one"
        )


def save_recipe(run: Path, recipe: Mapping[str, Any]) -> None:
    """Write all that decides the outcome of a run."""
    save_json(recipe, run / RECIPE_FILE)


def plain(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe as it comes back from JSON: tuples are lists."""
    read: dict[str, Any] = json.loads(json.dumps(recipe))
    return read


def weights_digest(*modules: nn.Module | None) -> str:
    """Return the SHA-256 over the names and values of all weights, wherever they lie."""
    digest = hashlib.sha256()
    for module in modules:
        for name, tensor in () if module is None else module.state_dict().items():
            digest.update(name.encode())
            values = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
            digest.update(values.numpy())
    return digest.hexdigest()
