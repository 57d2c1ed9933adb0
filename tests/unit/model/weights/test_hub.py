"""Downloads from a real HTTP server that speaks the hub's protocol, and ways out when there is none."""

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from model.config import PRESETS, SSVP_NANO
from model.weights.files import WeightsError
from model.weights.hub import clip_file, dino_file

CONTENT = bytes(range(256)) * 100_000  # 26 MB: the library counts blocks of ten
GET_FILE = """
from model.weights.files import WeightsError
from model.weights.hub import HubFile, download
try:
    print(download(HubFile("org/towers", "model.safetensors", "--dino-file")))
except WeightsError as error:
    print("refused:", error)
"""


@dataclass
class Hub:
    """What the server does, and what it was asked."""

    url: str = ""
    gated: bool = False
    break_after: int | None = None
    ranges: list[str | None] = field(default_factory=list)


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """One file under any name, whole or from a position on."""

        def _head(self, start: int) -> bool:
            if hub.gated:
                self.send_response(403)
                self.send_header("X-Error-Code", "GatedRepo")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return False
            self.send_response(206 if start else 200)
            self.send_header("ETag", f'"{hashlib.sha256(CONTENT).hexdigest()}"')
            self.send_header("X-Repo-Commit", "0" * 40)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(CONTENT) - start))
            if start:
                self.send_header(
                    "Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
                )
            self.end_headers()
            return True

        def do_HEAD(self) -> None:
            """Say what there is."""
            self._head(0)

        def do_GET(self) -> None:
            """Send it, or as much as the test allows."""
            if "/resolve/" not in self.path:  # the library asks for more than the file
                self.send_error(404)
                return
            asked = self.headers.get("Range")
            start = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
            hub.ranges.append(asked)
            if not self._head(start):
                return
            end, hub.break_after = hub.break_after or len(CONTENT), None
            self.wfile.write(CONTENT[start:end])
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            """Stay quiet."""

    return Handler


@pytest.fixture
def hub() -> Iterator[Hub]:
    """Run a server for one test."""
    found = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(found))
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def _get(url: str, home: Path, **settings: str) -> str:
    """Download in a process of its own: the hub's library reads its settings once."""
    env = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()}
    env |= {"HF_ENDPOINT": url, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", **settings}
    found = subprocess.run(
        [sys.executable, "-c", GET_FILE], env=env, capture_output=True, text=True, check=True
    )
    return found.stdout.strip().splitlines()[-1]


def test_a_broken_download_goes_on_where_it_broke(hub: Hub, tmp_path: Path) -> None:
    """The connection is cut after 15 MB; the rest is asked for by range and the file is whole."""
    hub.break_after = 15_000_000
    path = Path(_get(hub.url, tmp_path))
    assert path.read_bytes() == CONTENT
    starts = [int(r.removeprefix("bytes=").split("-")[0]) for r in hub.ranges if r]
    assert starts
    assert 0 < starts[-1] <= 15_000_000


def test_a_second_fetch_downloads_nothing(hub: Hub, tmp_path: Path) -> None:
    """What is on the disk is used."""
    first = _get(hub.url, tmp_path)
    asked = len(hub.ranges)
    assert _get(hub.url, tmp_path) == first
    assert len(hub.ranges) == asked


def test_a_gated_repository_says_the_way_out(hub: Hub, tmp_path: Path) -> None:
    """Accept the licence and log in, or give the file from disk."""
    hub.gated = True
    text = _get(hub.url, tmp_path)
    assert text.startswith("refused: https://huggingface.co/org/towers asks for a licence")
    assert "HF_TOKEN" in text
    assert "--dino-file" in text


def test_no_network_says_the_way_out(tmp_path: Path) -> None:
    """A hub that does not answer is one line with the option that needs none."""
    text = _get("http://127.0.0.1:9", tmp_path)
    assert text.startswith("refused: https://huggingface.co/org/towers cannot be reached")
    assert "--dino-file" in text


def test_offline_downloads_nothing(hub: Hub, tmp_path: Path) -> None:
    """HF_HUB_OFFLINE=1, the library's own setting, keeps it from a hub that would answer."""
    text = _get(hub.url, tmp_path, HF_HUB_OFFLINE="1")
    assert text.startswith("refused: https://huggingface.co/org/towers cannot be reached")
    assert "HF_HUB_OFFLINE is set" in text
    assert "--dino-file" in text
    assert not hub.ranges


def test_every_large_preset_has_published_weights() -> None:
    """Repositories come from open_clip's and timm's own tables; ssvp-nano has none and says so."""
    found = {n: (clip_file(c), dino_file(c)) for n, c in PRESETS.items() if c != SSVP_NANO}
    assert found["ssvp-large"][0].repository == "timm/vit_large_patch14_clip_336.openai"
    assert found["ssvp-large"][1].repository == "timm/vit_large_patch16_dinov3.lvd1689m"
    assert found["ssvp-fast"][1].repository == "timm/convnext_tiny.dinov3_lvd1689m"
    for get in (clip_file, dino_file):
        with pytest.raises(WeightsError, match="no published weights"):
            get(SSVP_NANO)
