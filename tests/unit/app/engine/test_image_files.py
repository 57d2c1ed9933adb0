"""Files by path: what lies below a root, and nothing else."""

import asyncio
import os
import threading
import time
from pathlib import Path

import pytest

from app.engine import image_files
from app.engine.image_files import FINDERS, READERS, ImageFiles
from app.errors import (
    BodyTooLargeError,
    DeadlinePassedError,
    DrainingError,
    ImagePathError,
    ParameterError,
    QueueFullError,
)
from tests.conftest import until
from tests.fakes import no_thread

pytestmark = pytest.mark.anyio
LIMIT, PLACES = 100, 72


def _in_a_minute() -> float:
    return time.perf_counter() + 60.0


def read_image_file(path: str, roots: tuple[Path, ...], limit: int) -> bytes:
    """Read an image as a caller with a deadline does."""

    async def read() -> bytes:
        return await ImageFiles(roots, limit, PLACES).read(path, _in_a_minute())

    return asyncio.run(read())


def find_image_files(pattern: str, roots: tuple[Path, ...]) -> list[str]:
    """Find what a pattern means."""

    async def find() -> list[str]:
        return await ImageFiles(roots, LIMIT, PLACES).find(pattern, _in_a_minute())

    return asyncio.run(find())


@pytest.fixture
def roots(tmp_path: Path) -> tuple[Path, ...]:
    """Two roots with a picture each, and a secret beside them."""
    for name in ("a", "b"):
        (tmp_path / name / "cam").mkdir(parents=True)
        (tmp_path / name / "cam" / f"{name}.png").write_bytes(name.encode())
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "a-sibling").mkdir()
    (tmp_path / "a-sibling" / "x").write_bytes(b"sibling")
    return tmp_path / "a", tmp_path / "b"


def test_relative_and_absolute_paths_in_any_root(roots: tuple[Path, ...]) -> None:
    """Roots are tried in order."""
    assert read_image_file("cam/a.png", roots, LIMIT) == b"a"
    assert read_image_file("cam/b.png", roots, LIMIT) == b"b"
    assert read_image_file(str(roots[1] / "cam" / "b.png"), roots, LIMIT) == b"b"
    assert read_image_file("cam/../cam/a.png", roots, LIMIT) == b"a"


@pytest.mark.parametrize(
    "path",
    [
        "../secret", "cam/../../secret", "/etc/passwd", "../a-sibling/x", "cam", "", ".", "nowhere",
        "cam/a.png/x", "a\0b", "x" * 5000, "~/x", "//etc/passwd", "cam/a.png\0.png",
    ],
)  # fmt: skip
def test_whatever_leaves_the_roots_is_not_there(roots: tuple[Path, ...], path: str) -> None:
    """One answer for everything, so that nobody learns which files exist."""
    with pytest.raises(ImagePathError) as raised:
        read_image_file(path, roots, LIMIT)
    assert str(raised.value) == f"there is no image at {path[:256]!a} below the allowed folders"


def test_links_are_followed_inside_and_refused_outside(roots: tuple[Path, ...]) -> None:
    """The real path counts, of files and of folders."""
    (roots[0] / "inside").symlink_to(roots[0] / "cam" / "a.png")
    (roots[0] / "outside").symlink_to(roots[0].parent / "secret")
    (roots[0] / "up").symlink_to("..", target_is_directory=True)
    (roots[0] / "circle").symlink_to("circle")
    assert read_image_file("inside", roots, LIMIT) == b"a"
    for path in ("outside", "up/secret", "circle"):
        with pytest.raises(ImagePathError):
            read_image_file(path, roots, LIMIT)


def test_a_pipe_is_not_waited_for(roots: tuple[Path, ...]) -> None:
    """A request must not hang on something that is no file."""
    os.mkfifo(roots[0] / "pipe")
    with pytest.raises(ImagePathError):
        read_image_file("pipe", roots, LIMIT)


def test_size_is_bounded(roots: tuple[Path, ...]) -> None:
    """As a body's is."""
    (roots[0] / "large").write_bytes(b"x" * (LIMIT + 1))
    (roots[0] / "fits").write_bytes(b"x" * LIMIT)
    assert len(read_image_file("fits", roots, LIMIT)) == LIMIT
    with pytest.raises(BodyTooLargeError):
        read_image_file("large", roots, LIMIT)


def test_a_pattern_that_fits_too_many_files_is_refused(
    roots: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leaving some out without a word would calibrate on whatever the file system gives first."""
    for number in range(3):
        (roots[0] / "cam" / f"{number}.png").write_bytes(b"x")
    monkeypatch.setattr(image_files, "MAX_FOUND", 4)
    assert len(find_image_files("cam/*.png", roots)) == 4
    monkeypatch.setattr(image_files, "MAX_FOUND", 3)
    with pytest.raises(ParameterError, match="more than 3 files"):
        find_image_files("cam/*.png", roots)


async def test_a_dead_root_holds_up_no_other(
    roots: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of a share's threads hang: what lies on another one is still read and found."""
    hang, real = threading.Event(), image_files._inside

    def inside(root: Path, path: str) -> Path | None:
        if root == roots[1]:
            hang.wait()
        return real(root, path)

    monkeypatch.setattr(image_files, "_inside", inside)
    files = ImageFiles(roots, LIMIT, PLACES)
    soon = time.perf_counter() + 0.3
    stuck = [files.read(str(roots[1] / "cam" / "b.png"), soon) for _ in range(2 * READERS)]
    stuck += [files.read("cam/b.png", soon)]  # looked for in both
    found = await asyncio.gather(*stuck, return_exceptions=True)
    assert {type(f) for f in found} == {DeadlinePassedError}
    assert await files.read("cam/a.png", _in_a_minute()) == b"a"
    assert await files.read(str(roots[0] / "cam" / "a.png"), _in_a_minute()) == b"a"
    assert await files.find("cam/a*", _in_a_minute()) == ["cam/a.png"]
    hang.set()


async def test_a_dead_root_leaves_places(
    roots: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of two roots has a third of them; who has given up counts no longer, though his thread is stuck."""
    monkeypatch.setattr(image_files, "SLOW_S", -1.0)  # nobody waits a second for the first
    hang = threading.Event()
    monkeypatch.setattr(image_files, "read_image_file", lambda *_: hang.wait() or b"a")
    files = ImageFiles(roots, LIMIT, 30)
    for _ in range(2):
        soon = time.perf_counter() + 0.2
        reads = [files.read(str(roots[0] / "cam" / "a.png"), soon) for _ in range(12)]
        found = await asyncio.gather(*reads, return_exceptions=True)
        kinds = [type(f) for f in found]
        assert kinds == [DeadlinePassedError] * 10 + [QueueFullError] * 2
    hang.set()


async def test_a_thread_that_cannot_be_started_keeps_no_place(
    roots: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller may try again; the share has all of its readers when the system has threads again."""
    files = ImageFiles(roots, LIMIT, PLACES)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread)
        for _ in range(READERS):
            with pytest.raises(QueueFullError, match="no thread"):
                await files.read("cam/a.png", _in_a_minute())
    assert await files.read("cam/a.png", time.perf_counter() + 10.0) == b"a"


async def test_closing_ends_all_waits(
    roots: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those for a thread, those for a file, and those that begin afterwards."""
    hang = threading.Event()
    monkeypatch.setattr(image_files, "read_image_file", lambda *_: hang.wait() and None)
    files = ImageFiles(roots, LIMIT, PLACES)
    reads = [files.read("cam/a.png", _in_a_minute()) for _ in range(READERS + 1)]
    waiting = asyncio.gather(*reads, return_exceptions=True)
    await asyncio.sleep(0.05)
    files.close()
    assert {type(f) for f in await waiting} == {DrainingError}
    with pytest.raises(DrainingError):
        await files.find("cam/*", _in_a_minute())
    hang.set()


async def test_a_root_that_answers_has_all_places(roots: tuple[Path, ...]) -> None:
    """All cameras fire at once, and all of their pictures are read."""
    files = ImageFiles(roots, LIMIT, PLACES)
    reads = [files.read(str(roots[0] / "cam" / "a.png"), _in_a_minute()) for _ in range(PLACES)]
    assert await asyncio.gather(*reads) == [b"a"] * PLACES


async def test_patterns_that_never_end_leave_readers_free(
    roots: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A PLC's picture is read while engineers' patterns walk a slow folder."""
    hang = threading.Event()
    monkeypatch.setattr(image_files, "find_image_files", lambda *_: hang.wait() or [])
    files = ImageFiles(roots[:1], LIMIT, PLACES)
    soon = time.perf_counter() + 0.2
    walks = [files.find("cam/*", soon) for _ in range(FINDERS + READERS)]
    found = await asyncio.gather(*walks, return_exceptions=True)
    assert {type(f) for f in found} == {DeadlinePassedError}
    assert await files.read("cam/a.png", _in_a_minute()) == b"a"
    hang.set()


def test_dots_do_not_hide_another_root(roots: tuple[Path, ...]) -> None:
    """A path that begins with one root and leads into another is read there."""
    assert read_image_file(f"{roots[0]}/../b/cam/b.png", roots, LIMIT) == b"b"


def test_a_folder_that_became_a_link_leads_nowhere(tmp_path: Path) -> None:
    """An open file that lies elsewhere than its path said is not read."""
    root, secret = tmp_path / "root", tmp_path / "secret"
    root.mkdir()
    secret.write_bytes(b"secret")
    descriptor = os.open(secret, os.O_RDONLY)
    assert not image_files._still_inside(descriptor, root)
    assert image_files._still_inside(descriptor, tmp_path)
    os.close(descriptor)


def test_a_path_that_changed_after_it_was_looked_at_is_not_read(
    roots: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that became a link, a file that did, a pipe: what is opened is judged, not what was found."""
    (roots[0] / "up").symlink_to("..", target_is_directory=True)
    (roots[0] / "link").symlink_to(roots[0] / "cam" / "a.png")
    os.mkfifo(roots[0] / "pipe")
    monkeypatch.setattr(image_files, "_inside", lambda root, path: root / path)
    assert read_image_file("cam/a.png", roots[:1], LIMIT) == b"a"
    for path in ("up/secret", "link", "pipe"):
        with pytest.raises(ImagePathError):
            read_image_file(path, roots[:1], LIMIT)


def test_a_pattern_means_files_below_its_root_by_name(roots: tuple[Path, ...]) -> None:
    """Neither folders nor what a link shows of other places, in the order of names."""
    names = [f"part{number:02}.png" for number in range(20)]
    for name in reversed(names):
        (roots[0] / "cam" / name).write_bytes(b"x")
    (roots[0] / "cam" / "part20.png").mkdir()
    (roots[0] / "cam" / "part21.png").symlink_to(roots[0].parent / "secret")
    (roots[0] / "other").symlink_to("..", target_is_directory=True)
    assert find_image_files("cam/part*", roots) == [f"cam/{name}" for name in names]
    with pytest.raises(ImagePathError):
        find_image_files("other/*", roots[:1])


def test_nobody_walks_a_folder_for_one_who_is_gone(roots: tuple[Path, ...]) -> None:
    """A walk that outlives its deadline ends there and leaves its thread to others."""
    late = time.perf_counter() - 1.0
    assert image_files.find_image_files("cam/*", roots[0], late) == []


async def test_the_longest_wait_tells_whether_a_root_is_dead(
    roots: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """That somebody has just come says nothing good of it."""
    monkeypatch.setattr(image_files, "SLOW_S", 0.5)
    hang = threading.Event()
    monkeypatch.setattr(image_files, "read_image_file", lambda *_: hang.wait() or b"a")
    files = ImageFiles(roots[:1], LIMIT, 4)
    waiting = [asyncio.create_task(files.read("cam/a.png", _in_a_minute()))]
    await asyncio.sleep(0.6)
    waiting.append(asyncio.create_task(files.read("cam/a.png", _in_a_minute())))
    await asyncio.sleep(0)
    with pytest.raises(QueueFullError, match="2 requests wait"):
        await asyncio.wait_for(files.read("cam/a.png", _in_a_minute()), 5)
    hang.set()
    await asyncio.gather(*waiting)


async def test_a_root_that_is_no_folder_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Callers get 404 as for a missing picture; who mounted the wrong folder learns it at the start."""
    gone = tmp_path / "gone"
    ImageFiles((tmp_path, gone), LIMIT, PLACES).look_for_roots()
    await until(lambda: bool(caplog.records))
    (line,) = caplog.records
    assert str(gone) in line.message
