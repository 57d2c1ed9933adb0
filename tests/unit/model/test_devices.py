"""Devices by name, on machines with and without GPUs."""

import os

import pytest
import torch

from model.devices import device_named, hardware_of

Patch = pytest.MonkeyPatch


def _machine(monkeypatch: Patch, gpus: int, *, usable: bool = True) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: usable and gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)


@pytest.mark.parametrize(("gpus", "expected"), [(0, "cpu"), (1, "cuda:0"), (2, "cuda:0")])
def test_auto_is_the_first_gpu_or_the_cpu(monkeypatch: Patch, gpus: int, expected: str) -> None:
    """Whatever there is, something is chosen."""
    _machine(monkeypatch, gpus)
    assert device_named("auto") == torch.device(expected)


def test_a_device_is_the_one_that_was_named(monkeypatch: Patch) -> None:
    """Counted from 0; one that the machine lacks is refused, with those it has."""
    _machine(monkeypatch, gpus=2)
    for name in ("cpu", "cuda:0", "cuda:1"):
        assert device_named(name) == torch.device(name)
    for name in ("cuda:2", "cuda", "tpu"):
        with pytest.raises(ValueError, match=f"'{name}': this machine has cpu, cuda:0, cuda:1$"):
            device_named(name)


def test_gpus_of_too_old_a_driver_are_none(monkeypatch: Patch) -> None:
    """They are counted, and cannot be used."""
    _machine(monkeypatch, gpus=1, usable=False)
    assert device_named("auto") == torch.device("cpu")
    with pytest.raises(ValueError, match=r"this machine has cpu$"):
        device_named("cuda:0")


def test_hardware_is_a_gpus_name_or_the_cpus_cores(monkeypatch: Patch) -> None:
    """A run's hours say nothing without it."""
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"name of {device}")
    assert hardware_of(torch.device("cuda:1")) == "name of cuda:1"
    assert hardware_of(torch.device("cpu")).endswith(f", {os.cpu_count()} cores")
