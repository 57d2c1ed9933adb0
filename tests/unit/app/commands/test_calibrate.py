"""`ssvp calibrate` and `ssvp profiles` in process: learn, decide by it, look, go back."""

import json
from pathlib import Path

import pytest

from app.commands.histogram import histogram
from tests.unit.app.commands.conftest import Run

NUT = ("--product", "Metal Nut")
RATE = ("--false-reject", 0.05)
FILE = ("--products-file", "products.json")
pytestmark = pytest.mark.usefixtures("parts")


def _verdict(run: Run, image: str) -> tuple[str, str, int | None]:
    row = json.loads(run("detect", image, "--product", "metal nut", *FILE, "--json").stdout)
    return row["result"], row["threshold_source"], row["profile_version"]


def test_good_parts_make_a_threshold_that_decides(run: Run) -> None:
    """Saved, shown, listed, used; the next one is version 2, and one command goes back."""
    done = run("calibrate", "parts/good", *NUT, *RATE, *FILE)
    assert done.exit_code == 0, done.output
    assert "0.2668 threshold" in done.stdout
    assert "saved as version 1" in done.stdout
    assert _verdict(run, "parts/good/18.png") == ("OK", "profile", 1)
    assert _verdict(run, "parts/bad/light.png") == ("NG", "profile", 1)
    again = run("calibrate", "parts/good", *NUT, "--false-reject", 0.2, *FILE, "--json")
    assert json.loads(again.stdout)["profile"]["version"] == 2
    assert _verdict(run, "parts/good/18.png") == ("NG", "profile", 2)
    back = run("profiles", "rollback", "metal  NUT", *FILE)
    assert back.exit_code == 0, back.output
    assert "chosen" in next(line for line in back.stdout.splitlines() if "0.2668" in line)
    assert _verdict(run, "parts/good/18.png") == ("OK", "profile", 1)
    none = run("profiles", "rollback", "metal nut", "--version", 0, *FILE)
    assert "no version is chosen" in none.stdout
    assert _verdict(run, "parts/good/18.png") == ("OK", "bundle", None)


def test_profiles_are_listed_and_shown(run: Run) -> None:
    """A profile of another bundle does not decide, and the list says so."""
    run("calibrate", "parts/good", *NUT, *RATE, *FILE)
    listed = run("profiles", "list", *FILE)
    assert listed.exit_code == 0, listed.output
    assert "metal nut" in listed.stdout
    assert "another bundle" in " ".join(listed.stdout.split())  # the fake's is not ssvp-nano
    found = json.loads(run("profiles", "list", *FILE, "--json").stdout)
    assert (found["writable"], found["products"][0]["usable"]) == (True, False)
    shown = json.loads(run("profiles", "show", "metal nut", *FILE, "--json").stdout)
    assert (shown["current"], len(shown["history"])) == (1, 1)
    unknown = run("profiles", "show", "screw", *FILE)
    assert unknown.exit_code == 2
    assert "has no profile" in unknown.stderr


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((), "say where the profiles are"),
        (FILE, "there is no file products.json"),
        ((*FILE, "--url", "http://127.0.0.1:9"), "--products-file goes without --url"),
        (("--bundle", "ssvp-nano", "--url", "http://127.0.0.1:9"), "--bundle goes without --url"),
        (("--api-key-file", "key"), "--api-key-file goes with --url"),
    ],
)
def test_profiles_need_a_place(run: Run, words: tuple[str, ...], complaint: str) -> None:
    """None named, a file that is not there, two places, half of one: told before anything is asked."""
    done = run("profiles", "list", *words)
    assert done.exit_code == 2
    assert complaint in done.stderr


def test_a_dry_run_leaves_the_file_alone(run: Run, tmp_path: Path) -> None:
    """All is shown; exit code 0."""
    done = run("calibrate", "parts/good", *NUT, *RATE, *FILE, "--dry-run")
    assert done.exit_code == 0, done.output
    assert "saved" not in done.stdout
    assert not (tmp_path / "products.json").exists()


def test_a_profile_that_is_kept_nowhere_is_an_error(run: Run, tmp_path: Path) -> None:
    """Unless it was written to a file, which the service then takes."""
    lost = run("calibrate", "parts/good", *NUT, *RATE)
    assert lost.exit_code == 2
    assert "SSVP_PRODUCTS_FILE is not set" in lost.stderr
    kept = run("calibrate", "parts/good", *NUT, *RATE, "--out", "products.json")
    assert kept.exit_code == 0, kept.output
    assert (tmp_path / "products.json").exists()
    assert _verdict(run, "parts/good/18.png") == ("OK", "profile", 1)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("parts/good",), "19 good parts were given, a false-reject rate of 0.005 needs 199"),
        (("parts/good", "gone.png", *RATE), "gone.png: there is no such picture"),
        (("parts/good", "parts/bad/notes.txt", *RATE), "notes.txt"),
        (("parts/good", "--false-reject", 0), "more than 0"),
    ],
    ids=["too few", "missing", "no picture", "no share"],
)
def test_nothing_is_learnt_from_less_than_asked(
    run: Run, tmp_path: Path, words: tuple[object, ...], complaint: str
) -> None:
    """Too few are told before any is inspected; one that cannot be inspected ends it."""
    done = run("calibrate", *words, *NUT, *FILE)
    assert done.exit_code == 2
    assert complaint in done.stderr
    assert not (tmp_path / "products.json").exists()


def test_a_name_that_means_any_product_is_refused_first(run: Run) -> None:
    """Before any picture is looked at: there is none."""
    done = run("calibrate", "gone", "--product", " Other", *RATE, *FILE)
    assert done.exit_code == 2
    assert "'other' is what metrics call all products without a profile" in done.stderr


def test_one_that_stands_out_is_named(run: Run) -> None:
    """With its score, so that a bad part among the good ones is found."""
    done = run("calibrate", "parts/good", "parts/bad/light.png", *NUT, *RATE, *FILE)
    assert done.exit_code == 0, done.output
    assert "stands out: parts/bad/light.png with 0.7843" in done.stdout


def test_a_histogram_counts_every_score_once() -> None:
    """Bins begin at round numbers; the threshold stands in its place."""
    lines = histogram([0.101, 0.102, 0.149, 0.30], 0.16)
    assert sum(int(line.split()[-1]) for line in lines if line[-1].isdigit()) == 4
    assert lines[0].startswith("0.10 │")
    place = next(i for i, line in enumerate(lines) if "0.1600 threshold" in line)
    assert lines[place - 1].startswith("0.16 │")


@pytest.mark.parametrize(
    ("scores", "threshold"), [([0.0], 0.0001), ([1.0, 1.0], 1.0), ([0.5] * 3, 0.5), ([0, 1], 1)]
)
def test_a_histogram_of_extremes_is_drawn(scores: list[float], threshold: float) -> None:
    """All scores alike, at the ends of the scale."""
    lines = histogram(scores, threshold)
    counts = [int(line.split()[-1]) for line in lines if "│" in line and line[-1].isdigit()]
    assert sum(counts) == len(scores)
    assert sum("threshold" in line for line in lines) == 1
