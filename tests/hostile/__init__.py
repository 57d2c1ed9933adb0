"""Bodies no decoder and no parser should have to see: at least 300 of them, each with a name.

Generated, not stored: from good pictures and forms, broken in every way somebody could think of.
"""

from collections.abc import Iterator

from tests.hostile import forms, pictures
from tests.hostile.request import Hostile


def hostile_requests() -> Iterator[Hostile]:
    """Yield all of them."""
    for source in (
        pictures.truncated,
        pictures.damaged,
        pictures.bombs,
        pictures.costly,
        pictures.polyglots,
        pictures.other_formats,
        pictures.animations,
        forms.json_bodies,
        forms.json_blanks_bodies,
        forms.json_members_bodies,
        forms.multipart_bodies,
        forms.parameter_requests,
        pictures.noise,
    ):
        yield from source()
