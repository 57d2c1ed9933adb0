"""NVIDIA Triton through PyTriton: dynamic batching, one model instance a core, HTTP with binary tensors.

The image and the answer travel as BYTES tensors, so that pictures of different sizes share a batch. Triton's
queue policy rejects what has waited too long; it counts waiting only, so a fifth of the deadline is left.
"""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, QueuePolicy, Tensor
from pytriton.triton import Triton, TritonConfig

from benchmarks.serving.servers.inspection import MAX_BATCH, Inspection, read_plan

WAITING_SHARE = 0.8


def instance() -> Callable[..., dict[str, NDArray[Any]]]:
    """Return an inference function that holds its own model."""
    inspection = Inspection()

    @batch  # type: ignore[untyped-decorator]
    def infer(image: NDArray[np.object_]) -> dict[str, NDArray[Any]]:
        answers = inspection.inspect([bytes(row[0]) for row in image])
        written = [[json.dumps(answer).encode()] for answer in answers]
        return {"answer": np.array(written, dtype=object)}

    function: Callable[..., dict[str, NDArray[Any]]] = infer
    return function


if __name__ == "__main__":
    plan = read_plan()
    waiting = QueuePolicy(default_timeout_microseconds=int(1e6 * WAITING_SHARE * plan.deadline_s))
    config = TritonConfig(
        http_address="127.0.0.1",
        http_port=plan.port,
        grpc_port=plan.port + 1,
        metrics_port=plan.port + 2,
    )
    with Triton(config=config) as triton:
        triton.bind(
            model_name="inspection",
            infer_func=[instance() for _ in range(plan.workers)],
            inputs=[Tensor(name="image", dtype=bytes, shape=(1,))],
            outputs=[Tensor(name="answer", dtype=bytes, shape=(1,))],
            config=ModelConfig(
                max_batch_size=MAX_BATCH, batcher=DynamicBatcher(default_queue_policy=waiting)
            ),
        )
        triton.serve()
