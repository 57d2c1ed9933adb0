"""Both towers on their device: precision, streams, CUDA graphs.

Knows torch's devices; knows neither products nor heads.
"""

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from app.errors import StartError
from model.backbones.clip import ClipTower
from model.backbones.dinov3 import DinoTower
from model.backbones.features import TowerFeatures
from model.backbones.inference import optimised
from model.config import SSVPConfig
from model.preprocess import TowerImages

logger = logging.getLogger(__name__)

Precision = Literal["auto", "fp32", "fp16", "bf16"]
MOST_COMPILED = 32  # batch sizes; they double
_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def tower_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """Return the towers' precision: by default fp16 on a GPU, fp32 elsewhere.

    Against fp32, ssvp-nano's scores differ by up to .0003 in fp16 and .004 in bf16. A tower whose activations
    leave fp16's range gives no numbers; the golden image says so before anything is served.
    """
    if precision == "auto":
        precision = "fp16" if device.type == "cuda" else "fp32"
    return _DTYPES[precision]


def keep_fp32() -> None:
    """Let a GPU compute fp32 convolutions in fp32: by default cuDNN takes TF32, with ten bits of mantissa.

    Matrix products are in fp32 by torch's own default. Holds for the whole process.
    """
    torch.backends.cudnn.allow_tf32 = False


@dataclass(frozen=True, eq=False)
class TowerTokens:
    """Eq. 1 for both towers; no `dino` where the model has none."""

    clip: TowerFeatures
    dino: TowerFeatures | None

    def first(self, count: int) -> "TowerTokens":
        """Return the tokens of the first images of the batch."""
        dino = None if self.dino is None else _first(self.dino, count)
        return TowerTokens(_first(self.clip, count), dino)


class ServingTowers(Protocol):
    """Both towers, ready for batches on their device."""

    def prepare(self, largest: int) -> None:
        """Do what batches of up to `largest` images would have to wait for, on the current stream.

        Raises:
            StartError: it cannot be done here.
        """
        ...

    def __call__(self, images: TowerImages, threads: int) -> TowerTokens:
        """Compute all tokens of a batch; `threads` is how many of the CPU's it may take."""
        ...


Tower = Callable[[Tensor], TowerFeatures]


def compile_tower(tower: Tower, backend: str = "inductor") -> Tower:
    """Return the tower with what lies between two matrix products in one kernel each.

    Each batch size has kernels of its own, made at its first call.

    Args:
        tower: as it is served.
        backend: of `torch.compile`.
    """
    torch._dynamo.config.recompile_limit = MOST_COMPILED
    # Whole, or not at all: a graph with breaks would be slower than what it replaces and nobody would know.
    whole: Tower = torch.compile(tower, backend=backend, fullgraph=True, dynamic=False)
    return whole


def require_compiler() -> None:
    """Look for what Triton needs to start its kernels.

    Raises:
        StartError: there is no C compiler.
    """
    if shutil.which("cc") is None and shutil.which("gcc") is None:
        raise StartError("to compile towers a C compiler is needed, gcc for example")


class Towers:
    """CLIP and DINO, frozen, ready for batches.

    Args:
        clip, dino: on the device; changed in place.
        device: where they are.
        dtype: precision.
        compiled: compile them.

    Raises:
        StartError: they are to be compiled, and no C compiler is there.
    """

    def __init__(
        self,
        clip: ClipTower,
        dino: DinoTower | None,
        device: torch.device,
        dtype: torch.dtype,
        *,
        compiled: bool = False,
    ) -> None:
        if dtype is torch.float32:
            keep_fp32()
        self._clip: Tower = optimised(clip, dtype)
        self._dino: Tower | None = None if dino is None else optimised(dino, dtype)
        if compiled:
            require_compiler()
            self._clip = compile_tower(self._clip)
            self._dino = None if self._dino is None else compile_tower(self._dino)
        self._side = torch.cuda.Stream(device) if device.type == "cuda" else None

    def __call__(self, images: TowerImages) -> TowerTokens:
        """Compute all tokens of a batch; on a GPU both towers at the same time."""
        if self._side is None or self._dino is None:
            dino = None if self._dino is None else self._dino(images.dino)
            return TowerTokens(self._clip(images.clip), dino)
        main = torch.cuda.current_stream()
        self._side.wait_stream(main)
        with torch.cuda.stream(self._side):
            dino = self._dino(images.dino)
        clip = self._clip(images.clip)
        # DINO's tokens may be freed at any time: their stream does nothing more before it waits for this one.
        main.wait_stream(self._side)
        return TowerTokens(clip, dino)


@dataclass(frozen=True, eq=False)
class _Recording:
    """One batch size's graph with the memory it reads and writes."""

    graph: "torch.cuda.CUDAGraph"
    images: TowerImages
    tokens: TowerTokens


class GraphedTowers:
    """Towers as recorded CUDA graphs, one per batch size: a launch a batch instead of one a kernel.

    A batch between two sizes runs in the next larger one, what is in the empty places being ignored. The tokens
    are valid until the next call: the same stream reads them before that.
    """

    def __init__(self, towers: Towers, config: SSVPConfig, device: torch.device) -> None:
        self._towers, self._config, self._device = towers, config, device
        self._recordings: dict[int, _Recording] = {}

    def prepare(self, largest: int) -> None:
        """Record batches of 1, 2, 4 ... images up to the first that holds `largest`, on the current stream.

        Batches for which the device has not even memory without recording are left out.

        Raises:
            StartError: the driver or a tower does not allow it, or memory ran out on the way. What failed may
                have left torch's allocator in the middle of a recording, so this process must not go on.
        """
        sizes = [1]
        while sizes[-1] < largest:
            sizes.append(2 * sizes[-1])
        pool = torch.cuda.graph_pool_handle()
        for size in reversed(sizes):  # the largest first: the others fit into its memory
            try:
                self._recordings[size] = self._recorded(size, pool)
            except torch.OutOfMemoryError:
                logger.warning("the device has no memory to record batches of %d images", size)
                torch.cuda.empty_cache()
            except RuntimeError as error:
                logger.debug("recording failed", exc_info=error)
                raise StartError(
                    f"batches of {size} images cannot be recorded as CUDA graphs: {_first_line(error)}; "
                    "a smaller SSVP_MAX_BATCH takes less memory, SSVP_CUDA_GRAPHS=false serves without graphs"
                ) from error

    def __call__(self, images: TowerImages, threads: int) -> TowerTokens:  # noqa: ARG002
        """Compute all tokens of a batch; it takes none of the CPU's threads."""
        count = len(images.clip)
        size = min((s for s in self._recordings if s >= count), default=None)
        if size is None:
            return self._towers(images)
        recording = self._recordings[size]
        recording.images.clip[:count].copy_(images.clip)
        if images.dino is not images.clip:
            recording.images.dino[:count].copy_(images.dino)
        recording.graph.replay()
        return recording.tokens.first(count)

    def _recorded(self, size: int, pool: "torch.cuda._POOL_HANDLE") -> _Recording:
        clip = self._blank(size, self._config.clip_size_px)
        shared = self._config.dino_size_px == self._config.clip_size_px
        dino = clip if shared else self._blank(size, self._config.dino_size_px)
        images = TowerImages(clip, dino)
        self._towers(images)  # libraries choose and allocate while nothing is recorded
        torch.cuda.synchronize(self._device)
        graph = torch.cuda.CUDAGraph()
        stream = torch.cuda.current_stream()
        # Other threads may ask the device for its memory meanwhile: only this one's calls must be recordable.
        with torch.cuda.graph(graph, pool, stream, capture_error_mode="thread_local"):
            tokens = self._towers(images)
        return _Recording(graph, images, tokens)

    def _blank(self, count: int, side_px: int) -> Tensor:
        return torch.zeros(count, 3, side_px, side_px, dtype=torch.uint8, device=self._device)


def _first_line(error: Exception) -> str:
    cause = error.__context__ or error  # ending a recording that failed fails too, and says less
    return (str(cause).splitlines() or [type(cause).__name__])[0]


def _first(features: TowerFeatures, count: int) -> TowerFeatures:
    tokens = tuple(tokens[:count] for tokens in features.patch_tokens)
    return TowerFeatures(features.class_token[:count], tokens)
