"""Which profile decides, under which label, and since when its scores are counted."""

from pathlib import Path

import numpy as np

from app.products.calibration import NamedScore, calibrate
from app.products.live import Basis, Products
from app.products.profile import BundleIdentity, ProductProfile
from app.products.store import ProductStore

DIGEST = "a" * 64


def _profile(lowest: float = 0.2) -> ProductProfile:
    scores = [NamedScore("", float(score)) for score in np.linspace(lowest, lowest + 0.2, 60)]
    bundle = BundleIdentity(name="b", version="1", digest=DIGEST)
    return calibrate("Metal Nut", scores, 0.05, bundle, None).profile


def _products(tmp_path: Path) -> Products:
    products = Products(ProductStore(tmp_path / "products.json"))
    products.store.add(_profile())
    return products


def _observe(products: Products, lowest: float) -> None:
    for score in np.linspace(lowest, lowest + 0.2, 60):
        products.observe(products.basis("metal nut", None, DIGEST), float(score))


def test_a_new_profile_is_watched_from_its_first_score_on(tmp_path: Path) -> None:
    """What the line scored before says nothing of the new good parts, and is no drift from them."""
    products = _products(tmp_path)
    _observe(products, 0.2)
    (state,) = products.states(DIGEST)
    assert state.drift is not None
    products.store.add(_profile(lowest=0.7))
    (state,) = products.states(DIGEST)
    assert state.drift is None
    _observe(products, 0.7)
    (state,) = products.states(DIGEST)
    assert state.drift is not None
    assert state.drift.psi < state.drift.limit


def test_a_product_keeps_its_label_though_its_profile_does_not_decide(tmp_path: Path) -> None:
    """Its verdicts stay one series in metrics: with another bundle, another roi, and no version in use."""
    products = _products(tmp_path)
    decided = products.basis(" METAL  nut", None, DIGEST)
    assert (decided.label, decided.warnings) == ("metal nut", ())
    assert decided.profile is not None
    for roi, digest, why in (
        (None, DIGEST[:-1] + "b", "another bundle"),
        ("1,2,3,4", DIGEST, "roi"),
    ):
        unused = products.basis("metal nut", roi, digest)
        assert (unused.profile, unused.label) == (None, "metal nut")
        assert why in unused.warnings[0]
    products.store.rollback("metal nut", 0)
    assert products.basis("metal nut", None, DIGEST) == Basis(label="metal nut")
    assert products.basis("cable", None, DIGEST) == Basis()
