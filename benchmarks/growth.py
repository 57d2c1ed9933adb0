"""What grows with what: time and memory against image size, heat map, batch and number of products.

    .venv/bin/python -m benchmarks.growth

One service, one caller; each figure is the median of some calls. "peak" is the largest memory the process held
during them (Linux counts it), "now" what it holds afterwards. Images are photographs' worst case: noise.
"""

import http.client
import io
import json
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
from PIL import Image

from benchmarks.service_ceiling import Service

CALLS = 5
# Multiples of eight, as cameras give them: only those are decoded at less than their size.
SIDES = ((368, 272), (1152, 864), (2304, 1728), (4608, 3456), (8000, 6000))
PRODUCTS = 10_000
BATCHES = (1, 2, 4, 8, 16, 32)
BOUNDARY = "part"


def picture(width: int, height: int, encoding: str = "JPEG") -> bytes:
    """Encode a picture of noise on a gradient."""
    rng = np.random.default_rng(0)
    ramp = np.linspace(60, 180, width, dtype=np.float32)[None, :, None]
    noisy = ramp + rng.normal(0, 12, (height, width, 1)).astype(np.float32)
    pixels = np.repeat(np.clip(noisy, 0, 255).astype(np.uint8), 3, axis=2)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, encoding)
    return buffer.getvalue()


class Watched:
    """A service whose memory can be read."""

    def __init__(self) -> None:
        self._service = Service([])
        self._process = Path("/proc") / str(self._service.process.pid)

    def row(self, name: str, path: str, body: bytes) -> None:
        """Send a request some times and print what it cost."""
        (self._process / "clear_refs").write_text("5")  # forget the peak so far
        took, timing, size = [], {}, 0
        for _ in range(CALLS):
            began = time.perf_counter()
            answer = self._call(path, body)
            took.append(1e3 * (time.perf_counter() - began))
            size, timing = len(answer), json.loads(answer).get("timing_ms", {})
        stages = " ".join(f"{stage} {ms:.0f}" for stage, ms in timing.items())
        print(
            f"{name:34} {statistics.median(took):7.0f} ms  answer {size / 1e3:6.0f} kB"
            f"  peak {self._memory('VmHWM'):5.0f} MiB  now {self._memory('VmRSS'):5.0f} MiB  {stages}",
            flush=True,
        )

    def products(self, count: int, body: bytes) -> None:
        """Inspect under many names and print the memory on the way."""
        for number in range(count + 1):
            if number % (count // 5) == 0:
                print(f"{number:6d} products: {self._memory('VmRSS'):.0f} MiB", flush=True)
            self._call(f"/v1/detect?heatmap=none&product=part+number+{number}", body)

    def stop(self) -> None:
        """End the service."""
        self._service.stop()

    def _call(self, path: str, body: bytes) -> bytes:
        with self._service.connection() as connection:
            headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
            connection.request("POST", path, body, headers if "batch" in path else {})
            answer: http.client.HTTPResponse = connection.getresponse()
            found = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {found.decode()}")
        return found

    def _memory(self, what: str) -> float:
        text = (self._process / "status").read_text()
        line = next(line for line in text.splitlines() if line.startswith(what + ":"))
        return int(line.split()[1]) / 1024


def batch_of(image: bytes, count: int) -> bytes:
    """Return a multipart body."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    return (head.encode() + image + b"\r\n") * count + f"--{BOUNDARY}--\r\n".encode()


def heatmaps() -> Iterator[dict[str, str]]:
    """Yield the parameters of each heat map."""
    yield {"heatmap": "none"}
    for kind in ("overlay", "map", "mask"):
        for encoding in ("png", "jpeg", "webp"):
            yield {"heatmap": kind, "heatmap_format": encoding}
    yield {"heatmap": "overlay", "heatmap_size": "original"}
    yield {"heatmap": "overlay", "heatmap_size": "original", "heatmap_format": "jpeg"}


def main() -> None:
    """Measure and print everything."""
    os.environ |= {"SSVP_DEFAULT_DEADLINE_MS": "600000", "SSVP_MAX_BODY_BYTES": str(2**28)}
    watched = Watched()
    try:
        medium = picture(1154, 866)
        watched.row("warm-up", "/v1/detect", medium)
        for width, height in SIDES:
            for encoding in ("JPEG", "PNG"):
                name = f"{width * height / 1e6:.1f} megapixels, {encoding}"
                watched.row(name, "/v1/detect", picture(width, height, encoding))
        for query in heatmaps():
            name = "heat map " + " ".join(query.values())
            watched.row(name, f"/v1/detect?{urlencode(query)}", medium)
        for count in BATCHES:
            watched.row(f"batch of {count}", "/v1/detect/batch", batch_of(medium, count))
        watched.products(PRODUCTS, picture(274, 274))
    finally:
        watched.stop()


if __name__ == "__main__":
    main()
