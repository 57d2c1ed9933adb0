"""What was learnt of one product, and the file that holds it for all of them.

Knows the JSON of the products file and its rules; knows neither where it lies nor who changes it.
"""

import unicodedata
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

SCHEMA_VERSION = 1
UNPROFILED = "other"  # what metrics call all products without a profile

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


def product_key(product: str) -> str:
    """Return the name under which a product is found: blanks collapsed, case folded, accents composed (NFC)."""
    # Unicode 3.13, D145: decomposed first, for folding depends on the order of marks.
    return unicodedata.normalize("NFC", _folded(unicodedata.normalize("NFD", product)))


def check_calibrated_name(product: str) -> None:
    """Refuse the one name that a product with a profile may not have.

    Raises:
        ValueError: metrics could not tell it from products without one.
    """
    if product_key(product) == UNPROFILED:
        raise ValueError(
            f"product: {UNPROFILED!r} is what metrics call all products without a profile; choose another name"
        )


def _folded(product: str) -> str:
    return " ".join(product.split()).casefold()


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BundleIdentity(_Frozen):
    """Which bundle; the digest alone decides, name and version are for people.

    Attributes:
        digest: SHA-256 of `bundle.json`, which holds the hashes of all files.
    """

    name: str
    version: str
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ProductProfile(_Frozen):
    """A product's own threshold and what it rests on.

    Attributes:
        product: name as it was given.
        version: 1, 2, ... for each product.
        threshold: NG from this score on.
        false_reject: asked rate of good parts that are rejected.
        n: good parts it was learnt from.
        interval: 95 % for the rate that comes out of it.
        bundle: whose scores these are; the threshold means nothing for another's.
        created_at: ISO 8601, UTC.
        roi: `x,y,width,height` that alone was inspected; None is the whole image.
        quantiles: scores that cut the good parts into the bins in which drift is counted, ascending.
        shares: what part of the good parts fell into each bin, one more than there are cuts.
        warnings: what looked wrong, in words.
        replaces: version that decided when this one was saved, 0: the bundle's threshold; None: not known, in
            old files.
    """

    product: Annotated[str, Field(min_length=1, max_length=128)]
    version: Annotated[int, Field(ge=1)]
    threshold: Share
    false_reject: Annotated[float, Field(gt=0, lt=1)]
    n: Annotated[int, Field(ge=1)]
    interval: tuple[Share, Share]
    bundle: BundleIdentity
    created_at: str
    roi: str | None
    quantiles: tuple[Share, ...]
    shares: tuple[Share, ...]
    warnings: tuple[str, ...]
    replaces: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _bins_belong_together(self) -> Self:
        if len(self.shares) != len(self.quantiles) + 1 or abs(sum(self.shares) - 1) > 1e-6:
            raise ValueError("shares: one more than quantiles, 1 in sum")
        if list(self.quantiles) != sorted(set(self.quantiles)):
            raise ValueError("quantiles: ascending")
        return self


class ProductHistory(_Frozen):
    """All versions of one product's profile that are kept.

    Attributes:
        current: version that decides; None: the bundle's threshold does.
        history: ascending by version.
    """

    current: int | None
    history: tuple[ProductProfile, ...]

    @model_validator(mode="after")
    def _versions_are_in_order(self) -> Self:
        versions = [profile.version for profile in self.history]
        if versions != sorted(set(versions)):
            raise ValueError("history: versions must ascend")
        if self.current is not None and self.current not in versions:
            raise ValueError(f"current: there is no version {self.current}")
        return self

    @property
    def profile(self) -> ProductProfile | None:
        """The profile that decides."""
        return next((p for p in self.history if p.version == self.current), None)

    @property
    def next_version(self) -> int:
        """The version a new profile gets."""
        return self.history[-1].version + 1 if self.history else 1


class ProductsFile(_Frozen):
    """The products file: each product's history by its key."""

    schema_version: Annotated[int, Field(ge=SCHEMA_VERSION, le=SCHEMA_VERSION)] = SCHEMA_VERSION
    products: dict[str, ProductHistory] = Field(default_factory=dict)

    @field_validator("products", mode="before")
    @classmethod
    def _compose_keys(cls, value: object) -> object:
        """Take the keys of old files, whose accents stand as they were sent."""
        if not isinstance(value, dict):
            return value
        composed = {product_key(k) if k == _folded(k) else k: found for k, found in value.items()}
        if len(composed) < len(value):  # whose threshold decides is not ours to choose
            raise ValueError("one product stands twice, its accents in two encodings; leave one")
        return composed

    @model_validator(mode="after")
    def _keys_are_the_products(self) -> Self:
        for key, found in self.products.items():
            if key != product_key(key) or any(product_key(p.product) != key for p in found.history):
                raise ValueError(f"products: {key!r} is not the key of its profiles")
        return self

    def of(self, product: str) -> ProductHistory | None:
        """Return a product's history, if it has one."""
        return self.products.get(product_key(product))

    def with_history(self, product: str, history: ProductHistory) -> "ProductsFile":
        """Return a copy in which a product has this history."""
        return ProductsFile(products={**self.products, product_key(product): history})

    def text(self) -> str:
        """Write it down, for people too."""
        return self.model_dump_json(indent=2) + "\n"
