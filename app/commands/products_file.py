"""A products file, answered for in the words of the service: the same three questions as its client has.

Knows the store and which bundle is meant; knows nothing of terminals.
"""

from pathlib import Path
from typing import Protocol

from app.client.answers import Model, Product, ProductHistory, Products
from app.products import profile as kept
from app.products.live import why_unused
from app.products.store import ProductStore
from model.bundle import open_bundle


class ProfileStore(Protocol):
    """Where profiles are; `SSVPClient` is one too."""

    def products(self) -> Products:
        """Return all products that have a profile."""
        ...

    def product(self, product: str) -> ProductHistory:
        """Return all versions of one product's profile."""
        ...

    def rollback(self, product: str, version: int | None = None) -> ProductHistory:
        """Let another version decide."""
        ...


class FileProfileStore:
    """The profiles of one file.

    Args:
        path: of the file.
        bundle: name or folder of the bundle they are for.

    Raises:
        StartError: the file cannot be used.
    """

    def __init__(self, path: Path, bundle: str) -> None:
        self._store, self._bundle = ProductStore(path), bundle

    def products(self) -> Products:
        """Return all products that have a profile.

        Raises:
            BundleError: whether they decide cannot be told.
        """
        bundle = open_bundle(self._bundle)
        model = Model(
            name=bundle.manifest.name, version=bundle.manifest.version, digest=bundle.digest
        )
        known = sorted(self._store.file.products.items())
        return Products(
            bundle=model,
            writable=self._store.why_read_only() is None,
            products=tuple(_product(key, history, model.digest) for key, history in known),
        )

    def product(self, product: str) -> ProductHistory:
        """Return all versions of one product's profile.

        Raises:
            ProductUnknownError: there is none.
        """
        return _history(product, self._store.history(product))

    def rollback(self, product: str, version: int | None = None) -> ProductHistory:
        """Let another version decide; see `ProductStore.rollback`."""
        return _history(product, self._store.rollback(product, version))


def _product(key: str, history: kept.ProductHistory, digest: str) -> Product:
    profile, reason = history.profile, why_unused(history, digest)
    return Product.model_validate(
        {
            "product": key,
            "current": None if profile is None else profile.model_dump(),
            "usable": reason is None,
            "reason": reason,
            "versions": [found.version for found in history.history],
        }
    )


def _history(product: str, history: kept.ProductHistory) -> ProductHistory:
    key = kept.product_key(product)
    return ProductHistory.model_validate({"product": key, **history.model_dump()})
