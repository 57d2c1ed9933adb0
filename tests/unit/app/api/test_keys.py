"""API keys: found whole or not at all, and never quoted."""

from pathlib import Path

import pytest

from app.api.keys import ApiKeys
from app.errors import KeyMissingError, KeyWrongError, RateLimitError, StartError

LINE3, MES = "line-3-secret-key-0001", "mes-secret-key-00000002"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with two keys, a comment and a blank line."""
    file = tmp_path / "keys"
    file.write_text(f"# inspection cells\n\nline3:{LINE3}\n mes : {MES} \n")
    return file


def test_each_key_has_its_name(path: Path) -> None:
    """Blanks around name and key do not count."""
    keys = ApiKeys(path)
    assert (keys.identify([LINE3]), keys.identify([MES])) == ("line3", "mes")


def test_no_key_is_missing_and_two_are_wrong(path: Path) -> None:
    """401, not 403; and a wrong key is not forgiven because a right one stands beside it."""
    with pytest.raises(KeyMissingError):
        ApiKeys(path).identify([])
    with pytest.raises(KeyWrongError):
        ApiKeys(path).identify([LINE3, MES])


@pytest.mark.parametrize("given", [LINE3[:-1], LINE3 + "x", LINE3.upper(), "line3", "\udcff" * 20])
def test_nearly_a_key_is_none(path: Path, given: str) -> None:
    """And the answer does not repeat it."""
    with pytest.raises(KeyWrongError) as raised:
        ApiKeys(path).identify([given])
    assert given not in str(raised.value)


def test_without_a_file_everybody_may_ask() -> None:
    """A cell network often has no keys."""
    keys = ApiKeys(None, rate_per_s=1)
    for _ in range(5):
        assert keys.identify([]) == ""
        keys.admit("")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("line3 no-colon-in-this-line", "line 1"),
        ("a:0123456789abcdef\nb:short", "line 2"),
        ("a:0123456789abcdef\nb:fifteen-letters", "line 2"),
        (":0123456789abcdef", "line 1"),
        ("a:0123456789abcdef\nb:0123456789abcdef", "twice"),
        ("a:0123456789abcdef\na:fedcba9876543210", "twice"),
        ("# nothing", "no key"),
        ("a:schlüssel-der-zelle-drei", "ASCII"),
    ],
)
def test_a_file_that_makes_no_sense_stops_the_start(
    tmp_path: Path, text: str, complaint: str
) -> None:
    """With its line, without its keys."""
    path = tmp_path / "keys"
    path.write_text(text)
    with pytest.raises(StartError, match=complaint) as raised:
        ApiKeys(path)
    assert "0123456789abcdef" not in str(raised.value)


def test_a_file_that_is_no_text_stops_the_start(tmp_path: Path) -> None:
    """In one line, not with a traceback."""
    path = tmp_path / "keys"
    path.write_bytes(b"# T\xfcr\nline3:0123456789abcdef")
    with pytest.raises(StartError, match="cannot be read"):
        ApiKeys(path)


def test_comments_may_be_indented_and_keys_hold_colons(tmp_path: Path) -> None:
    """The name ends at the first colon."""
    path = tmp_path / "keys"
    path.write_text(f"  # line: {MES}\nline3:{LINE3}:x\n")
    assert ApiKeys(path).identify([f"{LINE3}:x"]) == "line3"
    with pytest.raises(KeyWrongError):
        ApiKeys(path).identify([MES])


def test_a_night_without_parts_saves_nothing_up(path: Path) -> None:
    """The burst is one second's, however long a line stood still."""
    now = [0.0]
    keys = ApiKeys(path, rate_per_s=2, clock=lambda: now[0])
    keys.admit("line3")
    now[0] += 3600
    for _ in range(2):
        keys.admit("line3")
    with pytest.raises(RateLimitError):
        keys.admit("line3")


def test_a_missing_file_stops_the_start(tmp_path: Path) -> None:
    """A service that should ask for keys must not run without."""
    with pytest.raises(StartError, match="cannot be read"):
        ApiKeys(tmp_path / "nowhere")


def test_each_key_has_its_own_rate(path: Path) -> None:
    """Two a second: a burst of two, then one every half second; the other key is not affected."""
    now = [100.0]
    keys = ApiKeys(path, rate_per_s=2, clock=lambda: now[0])
    keys.admit("line3")
    keys.admit("line3")
    with pytest.raises(RateLimitError) as raised:
        keys.admit("line3")
    assert raised.value.retry_after_s == 1
    keys.admit("mes")
    now[0] += 0.5
    keys.admit("line3")
    with pytest.raises(RateLimitError):
        keys.admit("line3")


def test_a_batch_costs_as_many_as_it_holds(path: Path) -> None:
    """And is refused whole when there is not enough left."""
    now = [0.0]
    keys = ApiKeys(path, rate_per_s=10, clock=lambda: now[0])
    keys.admit("line3")
    keys.spend_more("line3", 6)
    keys.admit("line3")
    with pytest.raises(RateLimitError):
        keys.spend_more("line3", 3)
    keys.spend_more("line3", 2)


@pytest.mark.parametrize("rate", [0.5, 1, 5])
def test_a_batch_larger_than_the_burst_is_paid_for_afterwards(path: Path, rate: float) -> None:
    """Twenty images at five a second: a full budget lets them in, and then four seconds nothing."""
    now = [0.0]
    keys = ApiKeys(path, rate_per_s=rate, clock=lambda: now[0])
    keys.admit("line3")
    keys.spend_more("line3", 19)
    with pytest.raises(RateLimitError) as raised:
        keys.admit("line3")
    assert raised.value.retry_after_s == 20 / rate
    now[0] += 20 / rate
    keys.admit("line3")


def test_a_large_batch_is_let_in_after_the_wait_it_was_told(path: Path) -> None:
    """Though asking again costs what every request costs."""
    now = [0.0]
    keys = ApiKeys(path, rate_per_s=5, clock=lambda: now[0])
    for _ in range(3):
        keys.admit("line3")
    with pytest.raises(RateLimitError) as raised:
        keys.spend_more("line3", 19)
    now[0] += raised.value.retry_after_s or 0
    keys.admit("line3")
    keys.spend_more("line3", 19)
