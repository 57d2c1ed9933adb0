"""Everything that can keep a product from its own threshold; a branch of the tree in `app.errors`.

```
ProfileError
├── ProductUnknownError        404 product_unknown
├── BundleChangedError         409 bundle_changed
├── RollbackError              409 rollback_impossible
├── ProductsReadOnlyError      409 products_read_only
├── CalibrationTooFewError     422 calibration_too_few
├── CalibrationImageError      422 calibration_image
└── CalibrationSaturatedError  422 calibration_saturated
```
Knows status numbers, since they are part of the contract; knows no web framework.
"""

from app.errors import RequestError


class ProfileError(RequestError):
    """A product's profile cannot be made, found or changed; inspections never end in one of these."""


class ProductUnknownError(ProfileError):
    """There is no profile of that product, or none of that version."""

    status = 404
    code = "product_unknown"
    title = "No such product profile"


class BundleChangedError(ProfileError):
    """The scores were made with another bundle than the one that is loaded."""

    status = 409
    code = "bundle_changed"
    title = "Scores are of another bundle"


class RollbackError(ProfileError):
    """The version replaced none that is still kept."""

    status = 409
    code = "rollback_impossible"
    title = "Nothing to go back to"


class ProductsReadOnlyError(ProfileError):
    """The products file cannot be written."""

    status = 409
    code = "products_read_only"
    title = "Products file cannot be written"


class CalibrationTooFewError(ProfileError):
    """Fewer good parts than the asked rate needs.

    Attributes:
        needed: how many it needs.
    """

    status = 422
    code = "calibration_too_few"
    title = "Too few good parts"

    def __init__(self, message: str, needed: int) -> None:
        super().__init__(message)
        self.needed = needed


class CalibrationImageError(ProfileError):
    """One of the pictures cannot be inspected; nothing is made of the others alone."""

    status = 422
    code = "calibration_image"
    title = "A picture cannot be inspected"


class CalibrationSaturatedError(ProfileError):
    """The good parts reach the top of the scale, so that no threshold keeps the promise."""

    status = 422
    code = "calibration_saturated"
    title = "Good parts score highest"
