"""Everything that can keep a request from its verdict, as one tree; each leaf means one thing.

```
ServiceError
├── RequestError                   the caller must change the request
│   ├── HttpMalformedError         400 http_malformed
│   ├── BodyUnreadableError        400 body_unreadable
│   ├── ImageMissingError          400 image_missing
│   ├── ImageUnrecognisedError     400 image_unrecognised
│   ├── ImageCorruptError          400 image_corrupt
│   ├── ImageAnimatedError         400 image_animated
│   ├── KeyMissingError            401 key_missing
│   ├── KeyWrongError              403 key_wrong
│   ├── OtherSiteError             403 other_site
│   ├── ImagePathError             404 image_path_unknown
│   ├── HeadersTimeoutError        408 headers_timeout
│   ├── BodyTimeoutError           408 body_timeout
│   ├── BodyTooLargeError          413 body_too_large
│   ├── ImageTooLargeError         413 image_too_large
│   ├── FormatRefusedError         415 format_refused
│   ├── ParameterError             422 parameter_invalid
│   ├── RateLimitError             429 rate_limited
│   ├── HeadersTooLargeError       431 headers_too_large
│   ├── ClientGoneError            499 client_gone
│   └── ProfileError               what keeps a product from its own threshold: `app.products.errors`
├── UnavailableError               the caller may try again
│   ├── StartingError              503 starting
│   ├── NotReadyError              503 not_ready
│   ├── QueueFullError             503 queue_full
│   ├── DrainingError              503 draining
│   ├── WorkerDeadError            503 worker_dead
│   └── DeviceLostError            503 device_lost
├── LateError                      the answer would miss, or has missed, its deadline
│   ├── DeadlinePassedError        504 deadline_passed
│   └── DeadlineUnreachableError   504 deadline_unreachable
└── InternalError                  a bug; the message goes to the log only
    ├── InferenceError             500 inference_failed
    └── PredictionError            500 prediction_invalid
```
`StartError` stands outside of it: it keeps the process from starting, and is never an answer.
Knows status numbers, since they are part of the contract; knows no web framework.
"""

from typing import ClassVar, Self


class ServiceError(Exception):
    """Root; the message is written for the caller.

    Attributes:
        status: HTTP status.
        code: stable name of the leaf, for programs.
        error_type: stable name of the branch: `request`, `unavailable`, `late` or `internal`.
        title: what all errors of this leaf have in common, for people.
        retry_after_s: when trying again makes sense, or None; an error may know better than its class.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    error_type: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"
    retry_after_s: int | None = None

    def __init__(self, message: str, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        if retry_after_s is not None:
            self.retry_after_s = retry_after_s

    @classmethod
    def leaves(cls) -> list[type[Self]]:
        """Return the errors of this branch that can happen, those that other modules have added too."""
        below = cls.__subclasses__()
        return [leaf for child in below for leaf in child.leaves()] if below else [cls]


class RequestError(ServiceError):
    """The caller must change the request."""

    status = 400
    error_type = "request"


class HttpMalformedError(RequestError):
    """What was sent is not HTTP; no route is asked."""

    code = "http_malformed"
    title = "Request is not HTTP"


class BodyUnreadableError(RequestError):
    """JSON, multipart or base64 is malformed."""

    code = "body_unreadable"
    title = "Body cannot be read"


class ImageMissingError(RequestError):
    """The body is well formed but holds no image, or more than one."""

    code = "image_missing"
    title = "No single image in the body"


class ImageUnrecognisedError(RequestError):
    """The bytes begin like no image format."""

    code = "image_unrecognised"
    title = "Not an image"


class ImageCorruptError(RequestError):
    """The bytes begin like an image but cannot be decoded."""

    code = "image_corrupt"
    title = "Image is truncated or corrupt"


class ImageAnimatedError(RequestError):
    """The file holds more than one picture."""

    code = "image_animated"
    title = "Image has several frames"


class KeyMissingError(RequestError):
    """The service asks for an API key and the request brings none."""

    status = 401
    code = "key_missing"
    title = "API key is missing"


class KeyWrongError(RequestError):
    """The request's API key is none of the service's."""

    status = 403
    code = "key_wrong"
    title = "API key is not accepted"


class OtherSiteError(RequestError):
    """A browser asks for a change on behalf of another site's page."""

    status = 403
    code = "other_site"
    title = "Another site's page may not do that"


class ImagePathError(RequestError):
    """`image_path` names no image below one of `SSVP_IMAGE_ROOTS`."""

    status = 404
    code = "image_path_unknown"
    title = "No image at that path"


class HeadersTimeoutError(RequestError):
    """The headers did not arrive whole in time; no route is asked."""

    status = 408
    code = "headers_timeout"
    title = "Headers did not arrive in time"


class BodyTimeoutError(RequestError):
    """The body did not arrive whole within `SSVP_BODY_TIMEOUT_S`."""

    status = 408
    code = "body_timeout"
    title = "Body did not arrive in time"


class BodyTooLargeError(RequestError):
    """The body exceeds `SSVP_MAX_BODY_BYTES`."""

    status = 413
    code = "body_too_large"
    title = "Body is too large"


class ImageTooLargeError(RequestError):
    """The picture exceeds `SSVP_MAX_PIXELS`."""

    status = 413
    code = "image_too_large"
    title = "Image has too many pixels"


class FormatRefusedError(RequestError):
    """The bytes are of a known format that is not accepted."""

    status = 415
    code = "format_refused"
    title = "Image format is not accepted"


class ParameterError(RequestError):
    """A parameter is unknown, repeated, malformed or out of range."""

    status = 422
    code = "parameter_invalid"
    title = "Invalid parameter"


class RateLimitError(RequestError):
    """This API key sends more than its share."""

    status = 429
    code = "rate_limited"
    title = "Too many requests with this key"
    retry_after_s = 1


class HeadersTooLargeError(RequestError):
    """Target, headers and trailers exceed 64 KiB."""

    status = 431
    code = "headers_too_large"
    title = "Headers are too large"


class ClientGoneError(RequestError):
    """The caller closed the connection; only logs and metrics see this."""

    status = 499
    code = "client_gone"
    title = "Client closed the connection"


class UnavailableError(ServiceError):
    """The caller may try again."""

    status = 503
    error_type = "unavailable"
    retry_after_s = 1


class StartingError(UnavailableError):
    """The bundle is being loaded."""

    code = "starting"
    title = "Service is starting"
    retry_after_s = 5


class NotReadyError(UnavailableError):
    """The service runs but its golden image has the wrong score, or its start failed."""

    code = "not_ready"
    title = "Service is not fit to inspect"
    retry_after_s = 5


class QueueFullError(UnavailableError):
    """As many requests wait as may wait."""

    code = "queue_full"
    title = "Queue is full"


class DrainingError(UnavailableError):
    """The process is about to end."""

    code = "draining"
    title = "Service is shutting down"


class WorkerDeadError(UnavailableError):
    """The thread that owns the device has ended unexpectedly, or did not end in time."""

    code = "worker_dead"
    title = "Inference worker is dead"
    retry_after_s = 5


class DeviceLostError(UnavailableError):
    """The device failed for good or hangs; the process ends, so that it is started anew."""

    code = "device_lost"
    title = "Device is lost"
    retry_after_s = 5


class LateError(ServiceError):
    """The reject gate will not wait for this answer."""

    status = 504
    error_type = "late"


class DeadlinePassedError(LateError):
    """The deadline passed before there was a verdict."""

    code = "deadline_passed"
    title = "Deadline has passed"


class DeadlineUnreachableError(LateError):
    """The queue's estimate says that the deadline will pass; refused at once."""

    code = "deadline_unreachable"
    title = "Deadline cannot be met"


class InternalError(ServiceError):
    """A bug; the message goes to the log only."""


class InferenceError(InternalError):
    """The runtime raised on this image."""

    code = "inference_failed"
    title = "Inference failed"


class PredictionError(InternalError):
    """The runtime answered with numbers that cannot be scores."""

    code = "prediction_invalid"
    title = "Inference gave an invalid result"


class StartError(Exception):
    """The process cannot start; the message is the one line it ends with."""
