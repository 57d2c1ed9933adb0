"""`ssvp detect`: verdicts, exit codes, what is written where."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import cli
from tests.unit.app.commands.conftest import Run


@pytest.mark.parametrize(
    ("images", "code"),
    [
        (["parts/good"], 0),
        (["parts/good", "parts/bad"], 1),
        (["parts/bad", "nowhere.png"], 2),
        (["parts/bad/notes.txt"], 2),
        (["nowhere.png"], 2),
        (["parts/*/*.png"], 1),
        (["empty"], 2),
    ],
    ids=["all OK", "an NG", "a missing one", "no picture", "none", "a pattern", "an empty folder"],
)
@pytest.mark.usefixtures("parts")
def test_the_exit_code_tells_the_worst(
    run: Run, tmp_path: Path, images: list[str], code: int
) -> None:
    """0: all OK; 1: any NG; 2: any without verdict, whatever the others."""
    (tmp_path / "empty").mkdir()
    done = run("detect", *images)
    assert done.exit_code == code, done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize("others", [(), ("parts/good/00.png",)], ids=["alone", "beside others"])
@pytest.mark.usefixtures("parts")
def test_a_folder_without_pictures_is_told_from_no_folder(
    run: Run, tmp_path: Path, others: tuple[str, ...]
) -> None:
    """It is there; 'no such picture' would send its reader to look for a typing error."""
    (tmp_path / "empty").mkdir()
    done = run("detect", "empty", *others)
    assert "empty: no picture is in this folder" in done.stderr


@pytest.mark.usefixtures("parts")
def test_json_is_one_object_a_line_and_nothing_else(run: Run) -> None:
    """In the order named, what is missing in its place; the code says whether there is a verdict."""
    done = run("detect", "--json", "parts/bad", "nowhere.png", "parts/good/00.png")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["file"] for row in rows] == [
        "parts/bad/deep/lighter.jpg",
        "parts/bad/light.png",
        "nowhere.png",
        "parts/good/00.png",
    ]
    assert [row["result_code"] for row in rows] == [1, 1, 2, 0]
    assert rows[2]["code"] == "file_missing"
    assert rows[0]["model"]["name"] == "fake"
    assert "heatmap" not in rows[0]
    assert done.exit_code == 2


@pytest.mark.usefixtures("parts")
def test_missing_pictures_named_twice_hide_no_other(run: Run) -> None:
    """As many names as pictures were once taken for no picture at all."""
    done = run("detect", "--json", "gone.png", "gone.png", "parts/good/00.png")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["file"], row["result_code"]) for row in rows] == [
        ("gone.png", 2),
        ("parts/good/00.png", 0),
    ]


@pytest.mark.usefixtures("parts")
def test_file_names_of_no_encoding_are_written_as_they_can_be(run: Run, tmp_path: Path) -> None:
    """Names on a disk are bytes; the verdict and the heat map are there all the same."""
    good = (tmp_path / "parts" / "good" / "00.png").read_bytes()
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / os.fsdecode(b"caf\xe9.png")).write_bytes(good)
    done = run("detect", "--json", "odd", "--out", "maps")
    assert done.exit_code == 0, (done.output, done.exception)
    (row,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert (row["file"], row["result_code"]) == ("odd/caf\ufffd.png", 0)
    assert len(list((tmp_path / "maps").iterdir())) == 1


@pytest.mark.usefixtures("parts")
def test_heat_maps_are_written_below_the_folder(run: Run, tmp_path: Path) -> None:
    """Subfolders stay; two pictures of one name do not share a heat map."""
    (tmp_path / "parts" / "bad" / "light.jpg").write_bytes(
        (tmp_path / "parts" / "bad" / "deep" / "lighter.jpg").read_bytes()
    )
    done = run("detect", "parts/bad", "--out", "heat", "--heatmap", "mask", "--json")
    written = [json.loads(line)["heatmap_file"] for line in done.stdout.splitlines()]
    assert written == [
        "heat/deep/lighter.mask.png",
        "heat/light.jpg.mask.png",
        "heat/light.png.mask.png",
    ]
    for name in written:
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("parts")
def test_the_table_shows_every_verdict(run: Run) -> None:
    """With its threshold and where that comes from; a name is no markup."""
    Path("parts/good/00.png").rename("parts/[red]A.png")
    done = run("detect", "parts/[[]red]A.png", "parts/bad/light.png", "--threshold", "0.3")
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert any("[red]A.png" in line and " OK " in line for line in lines)
    assert any(
        "light.png" in line and " NG " in line and "0.3000 request" in line for line in lines
    )
    assert "1 OK, 1 NG" in done.stdout


@pytest.mark.usefixtures("parts")
def test_options_reach_the_service(run: Run) -> None:
    """Product, threshold and region; one the service refuses is told of every picture."""
    words = ("--product", "metal nut", "--threshold", 0.9, "--roi", "1,2,20,10", "--json")
    row = json.loads(run("detect", "parts/bad/light.png", *words).stdout)
    assert (row["product"], row["threshold"], row["result"]) == ("metal nut", 0.9, "OK")
    refused = run("detect", "parts/bad/light.png", "--roi", "900,0,5,5", "--json")
    assert json.loads(refused.stdout)["code"] == "parameter_invalid"
    assert refused.exit_code == 2


@pytest.mark.parametrize(
    "words",
    [
        ("--url", "http://127.0.0.1:9", "--bundle", "ssvp-nano"),
        ("--api-key-file", "key"),
        ("--url", "line3:8080"),
        ("--products-file", "gone.json"),
        ("--threshold", "1.5"),
        ("--heatmap", "none"),
    ],
)
@pytest.mark.usefixtures("parts")
def test_options_that_make_no_sense_together_are_refused(run: Run, words: tuple[str, ...]) -> None:
    """Before anything is loaded."""
    assert run("detect", "parts/good", *words).exit_code == 2


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--url", "http://127.0.0.1:9"), "127.0.0.1:9 does not answer"),
        (("--url", "http://127.0.0.1:9", "--api-key-file", "no"), "no cannot be read"),
        (("--url", "http://127.0.0.1:9", "--api-key-file", "empty"), "holds no key"),
        (("--products-file", "broken.json"), "broken.json"),
    ],
)
@pytest.mark.usefixtures("parts")
def test_what_keeps_it_from_starting_is_one_line(
    run: Run, tmp_path: Path, words: tuple[str, ...], complaint: str
) -> None:
    """Exit code 2, no traceback."""
    (tmp_path / "empty").write_text("")
    (tmp_path / "broken.json").write_text("{")
    done = run("detect", "parts/good", *words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_bundle_that_is_none_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The real loader says so."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("app.logs.configure_logging", lambda *_: None)
    (tmp_path / "a.png").write_bytes(b"x")
    done = CliRunner().invoke(cli, ["detect", "a.png", "--bundle", "nowhere"])
    assert done.exit_code == 2
    assert "nowhere" in done.stderr
    assert len(done.stderr.splitlines()) == 1
