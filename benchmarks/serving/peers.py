"""The servers under test: how each is installed, started, called and read.

Knows every server's command line and wire format; knows no load and no figures.
"""

import base64
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / "build" / "peers"
REQUIREMENTS = Path(__file__).parent / "requirements"
_SERVERS = "benchmarks.serving.servers"
Fields = dict[str, Any]


@dataclass(frozen=True)
class Peer:
    """One server.

    Attributes:
        name: as in tables and on the command line.
        packages: PyPI packages whose versions are recorded; none for this service itself.
        command: what to run, given the port; the first word is a module for `-m`.
        path: where images are sent.
        health: path that answers 200 when the model is loaded.
        wrap: image file to request body and its headers.
        read: response body to the answer's fields.
        layouts: workers and threads of each, on two cores; the tuning run measures all, the first is used.
        interpreter: what makes its virtual environment; None: the one that runs this.
        own_environment: whether it has one.
        stoppable: whether it survives being stopped while others have their turn; if not, it idles.
    """

    name: str
    packages: tuple[str, ...]
    command: Callable[[int], list[str]]
    path: str
    health: str
    wrap: Callable[[bytes], tuple[bytes, Mapping[str, str]]]
    read: Callable[[bytes], Fields]
    layouts: tuple[tuple[int, int], ...] = ((2, 1), (1, 2))
    interpreter: str | None = None
    own_environment: bool = True
    stoppable: bool = True

    @property
    def python(self) -> Path:
        """The interpreter it runs on."""
        return (
            ENVIRONMENTS / self.name / "bin" / "python"
            if self.own_environment
            else Path(sys.executable)
        )

    def request(self, image: bytes, port: int, query: str = "") -> bytes:
        """Return a whole HTTP request for one image."""
        body, headers = self.wrap(image)
        path = f"{self.path}?{query}" if query else self.path
        lines = [f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{port}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [f"Content-Length: {len(body)}", "", ""]
        return "\r\n".join(lines).encode() + body


def _raw(image: bytes) -> tuple[bytes, Mapping[str, str]]:
    return image, {"Content-Type": "application/octet-stream"}


def _json_of(field: Callable[[str], object]) -> Callable[[bytes], tuple[bytes, Mapping[str, str]]]:
    def wrap(image: bytes) -> tuple[bytes, Mapping[str, str]]:
        text = base64.b64encode(image).decode("ascii")
        return json.dumps(field(text)).encode(), {"Content-Type": "application/json"}

    return wrap


def _binary_tensor(image: bytes) -> tuple[bytes, Mapping[str, str]]:
    """Return the image as a BYTES tensor of Triton's binary extension: each element after its length."""
    element = len(image).to_bytes(4, "little") + image
    parameters = {"binary_data_size": len(element)}
    tensor = {"name": "image", "shape": [1, 1], "datatype": "BYTES", "parameters": parameters}
    outputs = [{"name": "answer", "parameters": {"binary_data": True}}]
    head = json.dumps({"inputs": [tensor], "outputs": outputs}).encode()
    headers = {
        "Content-Type": "application/octet-stream",
        "Inference-Header-Content-Length": str(len(head)),
    }
    return head + element, headers


def _object(body: bytes) -> Fields:
    found: Fields = json.loads(body)
    return found


def _first(body: bytes) -> Fields:
    found: list[Fields] = json.loads(body)
    return found[0]


def _from_binary_tensor(body: bytes) -> Fields:
    end = json.JSONDecoder().raw_decode(body.decode("latin-1"))[1]
    return _object(body[end + 4 :])


OURS = "ssvp"
PEERS: tuple[Peer, ...] = (
    Peer(
        OURS,
        ("fastapi", "uvicorn"),
        lambda _: ["-c", "from app.cli import main; main()", "serve"],
        "/v1/detect",
        "/readyz",
        _raw,
        _object,
        layouts=((1, 2),),
        own_environment=False,
    ),
    Peer(
        "litserve",
        ("litserve",),
        lambda _: ["-m", f"{_SERVERS}.litserve_peer"],
        "/predict",
        "/health",
        _json_of(lambda text: {"image": text}),
        _object,
    ),
    Peer(
        "bentoml",
        ("bentoml",),
        lambda port: [
            *("-m", "bentoml", "serve", f"{_SERVERS}.bentoml_peer:InspectionService"),
            *("--host", "127.0.0.1", "--port", str(port)),
        ],
        "/detect",
        "/readyz",
        _json_of(lambda text: {"images": [text]}),
        _first,
    ),
    Peer(
        "triton",
        ("nvidia-pytriton",),
        lambda _: ["-m", f"{_SERVERS}.triton_peer"],
        "/v2/models/inspection/infer",
        "/v2/models/inspection/ready",
        _binary_tensor,
        _from_binary_tensor,
        interpreter="/usr/bin/python3.11",
    ),
    Peer(
        "ray",
        ("ray",),
        lambda _: ["-m", f"{_SERVERS}.ray_peer"],
        "/detect",
        "/-/healthz",
        _raw,
        _object,
        stoppable=False,
    ),
    Peer(
        "fastapi",
        ("fastapi", "uvicorn"),
        lambda _: ["-m", f"{_SERVERS}.fastapi_plain"],
        "/detect",
        "/health",
        _raw,
        _object,
        own_environment=False,
    ),
)
