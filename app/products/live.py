"""Profiles at work: which one decides a request, and how its product's scores have been since.

Knows the store and the drift of each product; knows neither pictures nor HTTP. Used on one event loop.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.products.drift import Bins, Drift, DriftWatch
from app.products.profile import ProductHistory, ProductProfile, product_key
from app.products.store import ProductStore

logger = logging.getLogger(__name__)

FOLLOW_S = 2.0


@dataclass(frozen=True)
class Basis:
    """What one request is decided on; found once, so that all of the request sees the same.

    Attributes:
        profile: whose threshold decides where the request has none of its own; None: the bundle's does.
        label: the product's name in metrics; None for products without a profile.
        warnings: why the product's profile is not used.
    """

    profile: ProductProfile | None = None
    label: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ProductState:
    """One product with a profile, as metrics show it.

    Attributes:
        label: its name in metrics.
        stale: its profile was made with another bundle.
        drift: None while there are too few scores.
    """

    label: str
    stale: bool
    drift: Drift | None


class Products:
    """The store's profiles, and a drift watch for each that is used.

    Args:
        store: where they are kept.
    """

    def __init__(self, store: ProductStore) -> None:
        self.store = store
        self._watches: dict[str, tuple[ProductProfile, DriftWatch]] = {}

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Read the file again whenever it changes on the disk: another writer, or a new ConfigMap."""

        async def follow() -> None:
            while True:
                await asyncio.sleep(FOLLOW_S)
                await asyncio.to_thread(self.store.refresh)

        task = asyncio.create_task(follow())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    def basis(self, product: str, roi: str | None, digest: str) -> Basis:
        """Find what decides a product's parts now.

        Args:
            product: name as the caller wrote it.
            roi: `x,y,width,height` of the request; None is the whole image.
            digest: of the bundle that scores.
        """
        history = self.store.file.of(product)
        if history is None:
            return Basis()
        label, profile = product_key(product), history.profile
        if profile is None:
            return Basis(label=label)
        if (reason := unusable(profile, digest)) is not None:
            return Basis(label=label, warnings=(f"{reason}: the bundle's threshold is used",))
        if profile.roi != roi:
            areas = f"roi {profile.roi or 'none'}, not {roi or 'none'}"
            reason = f"the profile of {profile.product!a} was made for {areas}"
            return Basis(label=label, warnings=(f"{reason}: the bundle's threshold is used",))
        return Basis(profile, label)

    def observe(self, basis: Basis, score: float) -> None:
        """Count a score of a product whose profile could decide, and say when it begins or ends to drift."""
        profile, label = basis.profile, basis.label
        if profile is None or label is None:
            return
        watch = self._watch(label, profile)
        changed, drift = watch.observe(score), watch.drift()
        if changed is None or drift is None:
            return
        logger.log(
            logging.WARNING if changed else logging.INFO,
            "scores of %a %s: psi %.3f, limit %.3f, profile version %d",
            label,
            "have drifted from those of its good parts" if changed else "are as usual again",
            drift.psi,
            drift.limit,
            profile.version,
        )

    def states(self, digest: str | None) -> Iterator[ProductState]:
        """Yield every product whose profile should decide.

        Args:
            digest: of the loaded bundle; None before there is one.
        """
        for label, history in self.store.file.products.items():
            profile = history.profile
            if profile is not None and digest is not None:
                kept = self._watches.get(label)
                drift = kept[1].drift() if kept is not None and kept[0] == profile else None
                yield ProductState(label, unusable(profile, digest) is not None, drift)

    def _watch(self, label: str, profile: ProductProfile) -> DriftWatch:
        kept = self._watches.get(label)
        if kept is not None and kept[0] == profile:
            return kept[1]
        watch = DriftWatch(Bins(profile.quantiles, profile.shares), profile.n)
        self._watches[label] = (profile, watch)
        return watch


def why_unused(history: ProductHistory, digest: str) -> str | None:
    """Say why no profile of a product decides for a bundle; None where one does."""
    return "no version is in use" if history.profile is None else unusable(history.profile, digest)


def unusable(profile: ProductProfile, digest: str) -> str | None:
    """Say why a profile decides nothing for a bundle; None where it does."""
    made = profile.bundle
    if made.digest == digest:
        return None
    return (
        f"the profile of {profile.product!a} was made with another bundle "
        f"({made.name} {made.version}, {made.digest[:12]}...); calibrate again"
    )
