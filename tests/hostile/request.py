"""What a hostile request is, and the good pictures they are made of."""

import base64
from typing import NamedTuple

import numpy as np

from tests.fakes import encode, grey

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
NOISE = np.random.default_rng(7).integers(0, 256, (48, 64, 3), dtype=np.uint8)
PICTURES = {name: encode(NOISE, name) for name in FORMATS}
PNG = encode(grey(90))
PNG_BASE64 = base64.b64encode(PNG).decode()


class Hostile(NamedTuple):
    """One request that must be refused."""

    name: str
    body: bytes
    query: tuple[tuple[str, str], ...] = ()
    content_type: str = "application/octet-stream"
