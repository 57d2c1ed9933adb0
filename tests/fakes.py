"""A runtime of a few lines of numpy, whose every result tells which image it belongs to, and images for it."""

import io
import math
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.engine.inspection import Order
from app.engine.render import HeatmapOptions
from app.runtime.protocol import GoldenImage, ModelInfo, OutOfDeviceMemoryError, Prediction, Query

MAP_PX = 32
DIGEST = "0123456789abcdef" * 4


def encode(image: NDArray[np.uint8] | Image.Image, encoding: str = "PNG", **options: Any) -> bytes:
    """Encode pixels as an image file."""
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    buffer = io.BytesIO()
    picture.save(buffer, format=encoding, **options)
    return buffer.getvalue()


def grey(level: int, width: int = 40, height: int = 30) -> NDArray[np.uint8]:
    """Return an RGB picture of one grey level; `FakeRuntime` scores it `level / 255`."""
    return np.full((height, width, 3), level, dtype=np.uint8)


def no_thread(_: threading.Thread) -> None:
    """Refuse to start, as threads do where the system has no more of them."""
    raise RuntimeError("can't start new thread")


GOLDEN = GoldenImage(png=encode(grey(102)), product="golden", score=0.4, tolerance=1e-3)
ORDER = Order(encode(grey(200)), "x", None, HeatmapOptions())


class FakeRuntime:
    """Scores an image by its mean brightness and maps it by its brightness.

    Args:
        golden: the golden image it claims.
        poison: products on which `predict` raises.
    """

    def __init__(self, golden: GoldenImage = GOLDEN, poison: Sequence[str] = ()) -> None:
        self._golden, self._poison = golden, frozenset(poison)
        self.batches: list[list[str]] = []
        self.alone: list[bool] = []
        self.threads: set[int] = set()
        self.calls = 0
        self.digest = DIGEST
        self.lanes = 1
        self.pipelined = False  # lanes follow one another on one device
        self.useful_batch = 64
        self.side_px = MAP_PX
        self.bias = 0.0  # added to every score, as a broken device might
        self.largest_batch = math.inf  # what its memory holds
        self.gate = threading.Event()
        self.gate.set()
        self.on_warm_up: Callable[[], object] = lambda: None
        self.on_predict: Callable[[], object] = lambda: None

    @property
    def parts(self) -> int:
        """Into how many parts the lanes divide the device."""
        return 1 if self.pipelined else self.lanes

    @property
    def info(self) -> ModelInfo:
        """Describe itself."""
        return ModelInfo("fake", "1.2.3", self.digest, "cpu", 0.5, 0.5, self._golden)

    def memory(self) -> dict[str, int]:
        """Return a small device's memory."""
        return {"total": 1024}

    def prepare(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return a small brightness map in [0, 1]."""
        small = Image.fromarray(image).convert("L").resize((MAP_PX, MAP_PX), Image.Resampling.BOX)
        return np.asarray(small, dtype=np.float32) / np.float32(255)

    def warm_up(self) -> None:
        """Do what the test asked for."""
        self.on_warm_up()

    def predict(self, queries: Sequence[Query], *, alone: bool = True) -> list[Prediction]:
        """Score a batch, once the gate is open."""
        self.calls += 1
        self.alone.append(alone)
        self.gate.wait()
        self.on_predict()
        if len(queries) > self.largest_batch:
            raise OutOfDeviceMemoryError
        self.threads.add(threading.get_ident())
        self.batches.append([q.product for q in queries])
        if bad := self._poison.intersection(q.product for q in queries):
            raise RuntimeError(f"poisoned by {sorted(bad)}")
        return [
            Prediction(score=mean, score_global=mean, score_local=mean, anomaly_map=q.prepared)
            for q, mean in ((q, float(q.prepared.mean()) + self.bias) for q in queries)
        ]
