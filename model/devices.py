"""Devices by their names. Knows torch's devices, no model."""

import os
import platform

import torch


def device_named(name: str) -> torch.device:
    """Return a device of this machine: `auto` is the first GPU, or the CPU where there is none.

    Raises:
        ValueError: this machine has no such device; the message says which it has.
    """
    usable = torch.cuda.is_available()  # a driver that is too old counts GPUs all the same
    gpus = torch.cuda.device_count() if usable else 0
    known = ["cpu", *(f"cuda:{i}" for i in range(gpus))]
    if name == "auto":
        return torch.device("cuda:0" if gpus else "cpu")
    if name not in known:
        raise ValueError(f"device {name!r}: this machine has {', '.join(known)}")
    return torch.device(name)


def hardware_of(device: torch.device) -> str:
    """Return what a run records of its hardware: a GPU's name, or the CPU's kind and how many cores."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device}, {platform.machine()}, {os.cpu_count()} cores"
