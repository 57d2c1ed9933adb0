"""A tower as a recorded graph, which needs no Python while it runs.

Knows towers and image sizes; knows no device but the CPU. Every short layer of a tower in Python takes the
interpreter's lock anew; threads that compute side by side, decode and answer wait for one another there. With
eight callers on two cores the graph answers a tenth more images than the tower it was recorded from.

TorchScript is no longer developed, but what follows it needs a C++ compiler where the service runs.
"""

import warnings

import torch
from torch import Tensor
from torch.jit._trace import TracerWarning

from model.backbones.clip import ClipTower
from model.backbones.dinov3 import DinoTower
from model.backbones.features import TowerFeatures


class TracedTower:
    """The same function as a frozen tower in evaluation mode, for batches of any size.

    Args:
        tower: frozen and on the CPU; it is not changed and its weights are shared.
        size_px: side of its images.
    """

    def __init__(self, tower: ClipTower | DinoTower, size_px: int) -> None:
        def flat(images: Tensor) -> tuple[Tensor, ...]:
            found: TowerFeatures = tower(images)
            return (found.class_token, *found.patch_tokens)

        images = torch.zeros(2, 3, size_px, size_px, dtype=torch.uint8)
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore", FutureWarning)  # of TorchScript's end
            # What a tower asks of a tensor in Python are sizes of one image, which do not change.
            warnings.simplefilter("ignore", TracerWarning)
            # A function's weights are constants of its graph; a module would first be turned into a script of
            # itself, layer by layer, which takes three times as long and gives the same graph once frozen.
            self._graph = torch.jit.trace(flat, images, check_trace=False)

    def __call__(self, images: Tensor) -> TowerFeatures:
        """Return eq. 1 for uint8 `[B, 3, S, S]`."""
        class_token, *patch_tokens = self._graph(images)
        return TowerFeatures(class_token, tuple(patch_tokens))
