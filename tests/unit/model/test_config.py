"""SSVPConfig: presets, round trip, refusals."""

from dataclasses import replace

import pytest

from model.config import PRESETS, SSVP_LARGE, SSVP_NANO, SSVPConfig


@pytest.mark.parametrize("config", PRESETS.values(), ids=lambda c: c.name)
def test_config_survives_json(config: SSVPConfig) -> None:
    """A config written to a bundle and read back is equal to itself."""
    assert SSVPConfig.from_dict(config.to_dict()).to_dict() == config.to_dict()


def test_large_preset_is_the_papers_setting() -> None:
    """ssvp-large has the sizes and blocks of the paper."""
    assert (SSVP_LARGE.clip_size_px, SSVP_LARGE.dino_size_px, SSVP_LARGE.grid) == (518, 592, 37)
    assert SSVP_LARGE.clip_blocks == (6, 12, 18, 24)
    assert SSVP_LARGE.dino_blocks == (3, 6, 9, 11)
    assert (len(SSVP_LARGE.normal_words), len(SSVP_LARGE.anomalous_words)) == (3, 3)
    assert (SSVP_LARGE.gamma, SSVP_LARGE.local_topk, SSVP_LARGE.rarity_experts) == (0.5, 1, False)


def test_nano_preset_has_a_grid_of_at_least_sixteen() -> None:
    """ssvp-nano's common grid is at least 16 x 16."""
    assert SSVP_NANO.grid >= 16


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"clip_blocks": (1, 2)}, "same number of levels"),
        ({"dino_blocks": (4, 3, 2, 1)}, "ascend"),
        ({"dino_blocks": (0, 1, 2, 3)}, "ascend"),
        ({"normal_words": ()}, "normal_words"),
        ({"gamma": 1.5}, "gamma"),
        ({"local_topk": 0}, "local_topk"),
    ],
)
def test_config_refuses_what_cannot_work(change: dict[str, object], word: str) -> None:
    """A senseless value is refused with the field's name."""
    with pytest.raises(ValueError, match=word):
        replace(SSVP_NANO, **change)  # type: ignore[arg-type]


def test_config_refuses_unknown_and_missing_fields() -> None:
    """JSON with a misspelt or missing field is refused by name."""
    with pytest.raises(ValueError, match="gird"):
        SSVPConfig.from_dict({**SSVP_NANO.to_dict(), "gird": 16})
    incomplete = SSVP_NANO.to_dict()
    del incomplete["grid"]
    with pytest.raises(ValueError, match="grid"):
        SSVPConfig.from_dict(incomplete)
