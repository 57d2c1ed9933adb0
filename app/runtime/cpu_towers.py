"""Both towers on a CPU: how many threads a batch has, and what they do at the same time.

Knows threads and towers; knows no GPU, no products and no heads.
"""

from concurrent.futures import ThreadPoolExecutor, wait

import torch

from app.runtime.towers import TowerTokens
from model.backbones.clip import ClipTower
from model.backbones.dinov3 import DinoTower
from model.backbones.features import TowerFeatures
from model.backbones.inference import optimised
from model.backbones.traced import TracedTower
from model.config import SSVPConfig
from model.preprocess import TowerImages


class CpuTowers:
    """CLIP and DINO, frozen, ready for batches.

    Args:
        clip, dino: changed in place.
        config: of both.
        dtype: precision.
        lanes: threads that may call at once, without one waiting for another.
    """

    def __init__(
        self,
        clip: ClipTower,
        dino: DinoTower | None,
        config: SSVPConfig,
        dtype: torch.dtype,
        lanes: int = 1,
    ) -> None:
        self._clip = TracedTower(optimised(clip, dtype), config.clip_size_px)
        self._dino = (
            None if dino is None else TracedTower(optimised(dino, dtype), config.dino_size_px)
        )
        self._helpers = ThreadPoolExecutor(lanes, thread_name_prefix="ssvp-clip")

    def prepare(self, largest: int) -> None:
        """Do nothing: batches of any size are computed alike."""

    def __call__(self, images: TowerImages, threads: int) -> TowerTokens:
        """Compute all tokens of a batch, both towers at the same time if there is more than one thread.

        Side by side two towers wait for each other once; two threads in one tower do so after every layer, and
        half of what they gain is lost.
        """
        if self._dino is None or threads == 1:
            torch.set_num_threads(threads)  # OpenMP's count is every thread's own
            dino = None if self._dino is None else self._dino(images.dino)
            return TowerTokens(self._clip(images.clip), dino)
        clip = self._helpers.submit(self._clip_tokens, images, threads // 2)
        torch.set_num_threads(threads - threads // 2)
        try:
            dino = self._dino(images.dino)
        finally:
            wait([clip])
        return TowerTokens(clip.result(), dino)

    def _clip_tokens(self, images: TowerImages, threads: int) -> TowerFeatures:
        torch.set_num_threads(threads)
        with torch.inference_mode():  # a thread's own too
            return self._clip(images.clip)
