"""SSVP behind the runtime protocol: torch towers, cached text, ONNX heads, one device.

Knows bundles and tensors; knows no HTTP, no queue and no image format.
"""

import logging
import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from app.cores import available_cores, take_turns_quickly
from app.errors import StartError
from app.runtime.allocator import keep_freed_memory
from app.runtime.cpu_towers import CpuTowers
from app.runtime.failures import meaning
from app.runtime.lanes import one_thread
from app.runtime.onnx_heads import OnnxHeads
from app.runtime.protocol import (
    GoldenImage,
    ModelInfo,
    OutOfDeviceMemoryError,
    Prediction,
    Query,
)
from app.runtime.towers import GraphedTowers, Precision, ServingTowers, Towers, tower_dtype
from app.runtime.turns import CpuTurns, CudaTurns, Turns
from model.assembly import build_prompts
from model.bundle import (
    GOLDEN_FILE,
    HALF_HEADS_FILE,
    HEADS_FILE,
    PROMPTS_FILE,
    Bundle,
    BundleError,
    read_bundle,
)
from model.checkpoint import load_module, load_towers
from model.devices import device_named
from model.preprocess import TowerImages, collate, preprocess
from model.ssvp.exportable import head_input_names, head_inputs

logger = logging.getLogger(__name__)

TEXT_CACHE_SIZE = 1024
GPU_LANES = 2
CPU_BATCH = 2  # images a core: four get no more done, the slowest answers come 15 % later


def choose_device(name: str) -> torch.device:
    """Return the device for a setting.

    Raises:
        StartError: this machine has no such device.
    """
    try:
        return device_named(name)
    except ValueError as error:
        raise StartError(str(error)) from None


class SSVPRuntime:
    """One bundle, loaded on one device.

    Args:
        bundle: read and checked.
        device: where towers and heads run.
        precision: of the towers. The heads are in fp32; beside towers in fp16 on a GPU, HSVS is in fp16 too if
            the bundle has such heads.
        max_batch: most images computed at once. A GPU is prepared for batches up to it; larger ones are
            computed all the same.
        threads: on the CPU.
        compiled: compile the towers for the GPU; a CPU gains nothing by it.
        graphed: record the towers as CUDA graphs, if there is a GPU.
    """

    def __init__(
        self,
        bundle: Bundle,
        device: torch.device,
        precision: Precision = "auto",
        max_batch: int = 8,
        threads: int = 1,
        *,
        compiled: bool = False,
        graphed: bool = True,
    ) -> None:
        config = bundle.manifest.config
        self._bundle, self._config, self._device = bundle, config, device
        on_gpu = CudaTurns(device) if device.type == "cuda" else None
        self._turns: Turns = on_gpu or CpuTurns()
        self._max_batch, self._graphed = max_batch, graphed
        self._clip, dino = load_towers(bundle.path, config)
        self._prompts = build_prompts(config, self._clip)
        load_module(self._prompts, bundle.file(PROMPTS_FILE))
        for module in (self._clip, dino, self._prompts):
            if module is not None:
                module.requires_grad_(requires_grad=False).eval().to(device)
        dtype = tower_dtype(precision, device)
        self._lanes = min(threads, max_batch) if device.type == "cpu" else GPU_LANES
        self._towers: ServingTowers = (
            GraphedTowers(
                Towers(self._clip, dino, device, dtype, compiled=compiled), config, device
            )
            if device.type == "cuda"
            else CpuTowers(self._clip, dino, config, dtype, self._lanes)
        )
        self._threads = threads
        half = device.type == "cuda" and dtype is torch.float16 and HALF_HEADS_FILE in bundle.files
        self._head_precision = torch.float16 if half else torch.float32
        self._heads = OnnxHeads(
            bundle.file(HALF_HEADS_FILE if half else HEADS_FILE),
            head_input_names(config),
            config.map_size_px,
            device,
            None if on_gpu is None else on_gpu.stream,
            max(1, threads // self._lanes),
        )
        self._text: OrderedDict[str, Tensor] = OrderedDict()
        self._text_lock = threading.Lock()

    @property
    def lanes(self) -> int:
        """As many as there are cores: those that share an image wait for one another after every layer.

        On a GPU two: while one batch is computed the next one's images are sent, the last one's results read.
        """
        return self._lanes

    @property
    def parts(self) -> int:
        """A GPU computes one batch after the other."""
        return self._lanes if self._device.type == "cpu" else 1

    @property
    def useful_batch(self) -> int:
        """A GPU gains by every image that joins, a core by hardly more than one."""
        return CPU_BATCH if self._device.type == "cpu" else self._max_batch

    @property
    def side_px(self) -> int:
        """The larger of both towers' images."""
        return max(self._config.clip_size_px, self._config.dino_size_px)

    @property
    def info(self) -> ModelInfo:
        """Describe the loaded bundle."""
        manifest = self._bundle.manifest
        return ModelInfo(
            name=manifest.name,
            version=manifest.version,
            digest=self._bundle.digest,
            device=str(self._device),
            default_threshold=manifest.default_threshold,
            map_threshold=manifest.map_threshold,
            golden=GoldenImage(
                png=self._bundle.file(GOLDEN_FILE).read_bytes(),
                product=manifest.golden.product,
                score=manifest.golden.score,
                tolerance=manifest.golden.tolerance,
            ),
        )

    def memory(self) -> dict[str, int]:
        """Return what torch holds of a GPU's memory, what all of its users hold, and how much there is."""
        if self._device.type != "cuda":
            return {}
        free, total = torch.cuda.mem_get_info(self._device)
        held = torch.cuda.memory_reserved(self._device)
        return {"torch": held, "used": total - free, "total": total}

    def prepare(self, image: NDArray[np.uint8]) -> TowerImages:
        """Resize an RGB `[H, W, 3]` image once per tower (D13).

        For a GPU it is pinned here, on its own thread, so that no batch waits for that.
        """
        with one_thread():  # images are prepared side by side
            prepared = preprocess(image, self._config)
        return prepared.pinned() if self._device.type == "cuda" else prepared

    def warm_up(self) -> None:
        """Run a batch of every size through everything; on a GPU record the towers' graphs before.

        A new shape makes onnxruntime try several ways to convolve on a GPU: no line should wait for that.
        """
        if self._graphed:
            with torch.inference_mode(), self._turns.computing():
                self._towers.prepare(self._max_batch)
        size = self._config.clip_size_px
        query = Query(self.prepare(np.zeros((size, size, 3), dtype=np.uint8)), "object")
        for count in range(1, self.useful_batch + 1):
            try:
                self.predict([query] * count)
            except OutOfDeviceMemoryError:
                if count == 1:
                    raise
                logger.warning("the device has no memory for batches of %d images", count)
                break

    def predict(self, queries: Sequence[Query], *, alone: bool = True) -> list[Prediction]:
        """Score a batch; products may differ from image to image."""
        threads = self._threads if alone else self._threads // self._lanes
        try:
            return self._predict(queries, threads)
        except Exception as error:
            meant = meaning(error)
            if meant is error:
                raise
            raise meant from error

    def _predict(self, queries: Sequence[Query], threads: int) -> list[Prediction]:
        with torch.inference_mode():
            with self._turns.sending():
                images = collate([q.prepared.to(self._device) for q in queries])
            with self._turns.computing():
                scores, maps = self._computed(images, [q.product for q in queries], threads)
        return [
            Prediction(score, score_global, score_local, anomaly_map)
            for (score, score_global, score_local), anomaly_map in zip(
                scores.tolist(), maps.numpy(), strict=True
            )
        ]

    def _computed(
        self, images: TowerImages, products: Sequence[str], threads: int
    ) -> tuple[Tensor, Tensor]:
        """Return scores `[B, 3]` and maps on the host; a GPU's memory is free for the next turn."""
        text = torch.stack([self._text_bank(product) for product in products])  # [B, P, D]
        tokens = self._towers(images, threads)
        # Named, so that the memory onnxruntime reads outlives its call.
        inputs = head_inputs(tokens.clip, tokens.dino, text, self._head_precision)
        heads = self._heads(inputs)
        scores = torch.stack([heads.score, heads.score_global, heads.score_local], dim=1)
        return _to_host(scores), _to_host(heads.anomaly_map)

    def _text_bank(self, product: str) -> Tensor:
        """Return T_init `[P, D]` of a product, from the cache of the most recent names if it is there."""
        with self._text_lock:
            bank = self._text.get(product)
            if bank is None:
                bank = self._prompts(self._clip, [product])[0]
                self._text[product] = bank
                if len(self._text) > TEXT_CACHE_SIZE:
                    self._text.popitem(last=False)
            self._text.move_to_end(product)
            return bank


def _to_host(tensor: Tensor) -> Tensor:
    """Start the copy of a tensor to the host; complete once the stream has been waited for."""
    if not tensor.is_cuda:
        return tensor
    host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return host.copy_(tensor, non_blocking=True)


def load_runtime(
    bundle: str,
    device: str = "auto",
    precision: Precision = "auto",
    max_batch: int = 8,
    *,
    compiled: bool = False,
    graphed: bool = True,
) -> SSVPRuntime:
    """Load a bundle by path or shipped name, and set this process up to serve it.

    Raises:
        StartError: the bundle is missing, damaged or of another schema, or there is no such device; or towers
            are to be compiled and nothing is there to do it.
    """
    if compiled and not graphed:
        raise StartError(
            "SSVP_COMPILE needs SSVP_CUDA_GRAPHS: without, each batch size is compiled"
        )
    try:
        found = read_bundle(bundle)
    except BundleError as error:
        raise StartError(str(error)) from error
    # Torch counts the machine's cores; OMP_NUM_THREADS has lowered that already, where it is set.
    threads = min(torch.get_num_threads(), available_cores())
    keep_freed_memory()
    take_turns_quickly()
    with one_thread():
        return SSVPRuntime(
            found,
            choose_device(device),
            precision,
            max_batch,
            threads,
            compiled=compiled,
            graphed=graphed,
        )
