"""The contract between the engine and whatever computes scores.

Knows arrays and numbers only: no torch, no HTTP, no queue. `app.runtime.ssvp` fulfils it with a real
bundle; tests fulfil it with a few lines of numpy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class OutOfDeviceMemoryError(Exception):
    """The device has no memory for this batch; a smaller one may fit."""


@dataclass(frozen=True)
class GoldenImage:
    """A picture whose score is known: proof that the device still computes what it should.

    Attributes:
        png: encoded image, decoded by the very code that decodes callers' images.
        product: product name to inspect it under.
        score: image-level score the bundle recorded, in [0, 1].
        tolerance: largest accepted absolute difference from `score`.
    """

    png: bytes
    product: str
    score: float
    tolerance: float


@dataclass(frozen=True)
class ModelInfo:
    """What the loaded bundle says about itself.

    Attributes:
        name: bundle name, for instance `ssvp-nano`.
        version: bundle version.
        digest: SHA-256 of the bundle's manifest in hex, its identity.
        device: torch's name of the device, `cpu` or `cuda:0`.
        default_threshold: image-level decision threshold in [0, 1] for products without a profile.
        map_threshold: anomaly map value in [0, 1] from which a pixel counts as anomalous.
        golden: the bundle's golden image.
    """

    name: str
    version: str
    digest: str
    device: str
    default_threshold: float
    map_threshold: float
    golden: GoldenImage


@dataclass(frozen=True)
class Query:
    """One image to inspect.

    Attributes:
        prepared: what `Runtime.prepare` returned for the image; opaque to the engine.
        product: spoken product name; any text, known to the model or not.
    """

    prepared: Any
    product: str


@dataclass(frozen=True)
class Prediction:
    """The model's opinion on one image; every number in [0, 1].

    Attributes:
        score: image-level score, S_final of eq. 19.
        score_global: image-level score of the class tokens alone.
        score_local: image-level score of the anomaly map alone.
        anomaly_map: float32 `[H, W]` covering the whole image at the model's resolution.
    """

    score: float
    score_global: float
    score_local: float
    anomaly_map: NDArray[np.float32]


class Runtime(Protocol):
    """One loaded model on one device.

    `prepare` is pure and may be called from many threads at once. `warm_up` is called once and first, `predict`
    from the workers' threads, of which there is one a lane.
    """

    @property
    def lanes(self) -> int:
        """How many batches may be under way at the same time, each on a thread of its own."""
        ...

    @property
    def parts(self) -> int:
        """Into how many parts the lanes divide the device.

        As many as there are lanes on a CPU, each with cores of its own; 1 on a GPU, where batches follow one
        another, so that it never waits for the next.
        """
        ...

    @property
    def useful_batch(self) -> int:
        """How many images gain by being computed together in a lane; all of a batch wait for its last."""
        ...

    @property
    def side_px(self) -> int:
        """Side of the largest square that `prepare` resizes an image to."""
        ...

    @property
    def info(self) -> ModelInfo:
        """Describe the loaded bundle."""
        ...

    def memory(self) -> Mapping[str, int]:
        """Return bytes of the device's memory by kind, `total` among them; empty on a CPU. Any thread."""
        ...

    def prepare(self, image: NDArray[np.uint8]) -> Any:
        """Resize an RGB `[H, W, 3]` image to what `predict` takes. Runs off the worker thread."""
        ...

    def warm_up(self) -> None:
        """Run once through everything that is compiled or allocated lazily."""
        ...

    def predict(self, queries: Sequence[Query], *, alone: bool = True) -> list[Prediction]:
        """Score a batch; the answer has one prediction per query, in the queries' order.

        Args:
            queries: at least one.
            alone: whether nothing else is computed meanwhile, so that all cores are free for this batch.

        Raises:
            OutOfDeviceMemoryError: the batch is too large for the device.
            DeviceLostError: the device will compute nothing any more.
            Exception: anything else is taken for the fault of one of the images.
        """
        ...
