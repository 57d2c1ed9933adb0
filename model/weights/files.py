"""Read a weights file of any of the formats people have into plain tensors.

safetensors; PyTorch files, of a state dict or of a checkpoint around one; TorchScript archives, as OpenAI ships
CLIP. Nothing is unpickled but tensors. Knows files; knows no architecture.
"""

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

WRAPPERS = ("state_dict", "model", "teacher", "model_ema")
PREFIXES = ("module.", "backbone.", "_orig_mod.")

StateDict = dict[str, Tensor]


class WeightsError(Exception):
    """Weights cannot be had or do not fit; the message says why and what can be done."""


def read_weights(path: Path) -> StateDict:
    """Return the tensors of a weights file by name, on the CPU, without wrappers and common prefixes.

    Fractions come in fp32, whatever the file has: a CPU resizes nothing less precise.

    Raises:
        WeightsError: there is no such file, or it holds no tensors we can read.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such file")
    try:
        found = _read(path)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise WeightsError(f"{path} is no weights file that can be read: {first}") from None
    state = {k: v for k, v in _unwrapped(found).items() if isinstance(v, Tensor)}
    if not state:
        raise WeightsError(f"{path} holds no tensors")
    return _without_prefix({k: v.float() if v.is_floating_point() else v for k, v in state.items()})


def _read(path: Path) -> Mapping[str, Any]:
    if path.suffix == ".safetensors":
        return load_file(path)
    if is_torchscript(path):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch calls TorchScript outdated; OpenAI's files stay
            state: Mapping[str, Any] = torch.jit.load(path, map_location="cpu").state_dict()
        return state
    loaded = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(loaded, Mapping):
        raise ValueError(f"it holds a {type(loaded).__name__}, not tensors by name")
    return loaded


def is_torchscript(path: Path) -> bool:
    """Return whether a file is a TorchScript archive, as OpenAI ships CLIP; no if it is not there."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in name for name in archive.namelist())


def _unwrapped(found: Mapping[str, Any]) -> Mapping[str, Any]:
    for name in WRAPPERS:
        inner = found.get(name)
        if isinstance(inner, Mapping):
            return _unwrapped(inner)
    return found


def _without_prefix(state: StateDict) -> StateDict:
    for prefix in PREFIXES:
        if all(k.startswith(prefix) for k in state):
            return _without_prefix({k.removeprefix(prefix): v for k, v in state.items()})
    return state
