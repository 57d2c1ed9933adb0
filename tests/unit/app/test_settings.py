"""Settings: read from the environment, checked once, typing errors pointed out."""

import pytest
from pydantic import ValidationError

from app.settings import Settings, unknown_variables


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable with the prefix becomes the setting, in its type."""
    monkeypatch.setenv("SSVP_PORT", "9000")
    monkeypatch.setenv("SSVP_MAX_WAIT_MS", "2.5")
    settings = Settings()
    assert (settings.port, settings.max_wait_ms) == (9000, 2.5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SSVP_PORT", "http"),
        ("SSVP_PORT", "70000"),
        ("SSVP_MAX_BATCH", "0"),
        ("SSVP_MAX_WAIT_MS", "-1"),
        ("SSVP_LOG_LEVEL", "LOUD"),
        ("SSVP_QUEUE_SIZE", ""),
    ],
)
def test_a_value_out_of_range_stops_the_start(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is clamped or guessed."""
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=name.removeprefix("SSVP_").lower()):
        Settings()


def test_settings_do_not_change_while_the_service_runs() -> None:
    """Assignment is refused."""
    with pytest.raises(ValidationError, match="frozen"):
        Settings().port = 1


def test_typing_errors_are_pointed_out() -> None:
    """An unknown SSVP_ variable gets a hint; other variables are none of our business."""
    names = ["SSVP_PROT", "ssvp_port", "SSVP_COLOUR_OF_BOX", "PATH"]
    box, port = unknown_variables(names)
    assert "SSVP_COLOUR_OF_BOX" in box
    assert "ssvp settings" in box
    assert "did you mean SSVP_PORT?" in port


def test_every_setting_is_described() -> None:
    """`ssvp settings` has a sentence for each."""
    assert all(field.description for field in Settings.model_fields.values())
