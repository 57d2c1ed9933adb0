"""LitServe: a LitAPI with dynamic batching, workers as its scaling guide has it.

A batch is held open for 10 ms: at 0 LitServe's loop polls its queue without a pause and eats a core. Its
time-out counts waiting only, so a fifth of the deadline is left for the work.
"""

import base64
from typing import Any

import litserve as ls

from app.runtime.protocol import Prediction
from benchmarks.serving.servers.inspection import MAX_BATCH, Inspection, read_plan
from benchmarks.stages import Opened

BATCH_TIMEOUT_S = 0.01
WAITING_SHARE = 0.8


class InspectionAPI(ls.LitAPI):  # type: ignore[misc]  # not installed beside mypy
    """Image in base64, as LitServe's image examples send it."""

    def setup(self, device: str) -> None:  # noqa: ARG002
        """Load the model, in each worker."""
        self.inspection = Inspection()

    def decode_request(self, request: dict[str, Any]) -> Opened:
        """Decode one image."""
        return self.inspection.open(base64.b64decode(request["image"]))

    def batch(self, inputs: list[Opened]) -> list[Opened]:
        """Keep a batch as a list."""
        return list(inputs)

    def predict(self, x: list[Opened]) -> list[tuple[Opened, Prediction]]:
        """Score a batch."""
        return list(zip(x, self.inspection.predict(x), strict=True))

    def unbatch(self, output: list[tuple[Opened, Prediction]]) -> list[tuple[Opened, Prediction]]:
        """Keep a batch as a list."""
        return output

    def encode_response(self, output: tuple[Opened, Prediction]) -> dict[str, Any]:
        """Write down one answer."""
        return self.inspection.conclude(*output)


if __name__ == "__main__":
    plan = read_plan()
    api = InspectionAPI(max_batch_size=MAX_BATCH, batch_timeout=BATCH_TIMEOUT_S)
    server = ls.LitServer(
        api,
        accelerator="cpu",
        devices=1,
        workers_per_device=plan.workers,
        timeout=WAITING_SHARE * plan.deadline_s or False,
    )
    server.run(
        host="127.0.0.1",
        port=plan.port,
        num_api_servers=1,
        generate_client_file=False,
        log_level="warning",
        access_log=False,
    )
