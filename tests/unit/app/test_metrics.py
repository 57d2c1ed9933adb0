"""Metrics that are written while others are, and while requests are counted."""

import threading
from collections.abc import Iterator

from app.engine.state import Snapshot, State
from app.metrics import Metrics
from app.products.drift import Drift
from app.products.live import ProductState

SNAPSHOT = Snapshot(State.READY, "", True, 0, 64, 0, 0.4, None)


def _state(label: str) -> ProductState:
    return ProductState(label, False, Drift(0.1, 0.2))


def test_two_expositions_at_once_show_their_own_products() -> None:
    """Each begins with none: the second one must not take away what the first has shown already."""
    metrics, texts = Metrics(), []
    second = threading.Thread(
        target=lambda: texts.append(metrics.exposition(SNAPSHOT, {}, [_state("cable")]))
    )

    def states() -> Iterator[ProductState]:
        yield _state("nut")
        second.start()
        second.join(0.2)  # it waits for this one
        yield _state("screw")

    first = metrics.exposition(SNAPSHOT, {}, states())
    second.join()
    for text, shown in ((first, {"nut", "screw"}), (texts[0], {"cable"})):
        for label in ("nut", "screw", "cable"):
            series = f'ssvp_score_psi{{product="{label}"}} 0.1'
            assert (series in text.decode()) == (label in shown)
