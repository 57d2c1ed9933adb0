"""Modules without their first random weights, for those that are filled from a file at once.

Knows torch's random fills; knows no model. For `ssvp-large` drawing them took most of the time of loading it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import init
from torch.overrides import TorchFunctionMode

_FILLS = {
    torch.Tensor.uniform_,
    torch.Tensor.normal_,
    torch.Tensor.erfinv_,  # by which timm turns uniform numbers into normal ones
    init.uniform_,
    init.normal_,
    init.trunc_normal_,
    init.kaiming_uniform_,
    init.kaiming_normal_,
    init.xavier_uniform_,
    init.xavier_normal_,
}


class Unfilled(TorchFunctionMode):
    """Within it new weights hold whatever their memory held: every one must be overwritten."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Leave out what draws random numbers in place, call anything else."""
        given = kwargs or {}
        if func in _FILLS:
            return args[0] if args else given["tensor"]
        return func(*args, **given)
