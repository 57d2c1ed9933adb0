"""Exit with 0 if the service in this container inspects images now; for an image without curl."""

import http.client
import os
import sys

TIMEOUT_S = 4.0
# Where a service that listens on all of a machine's addresses answers the machine itself.
LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


def address(host: str) -> str:
    """Return where a service that listens on that address answers."""
    return LOOPBACK.get(host, host)


def ready(host: str, port: int) -> bool:
    """Ask /readyz there."""
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    where = address(os.environ.get("SSVP_HOST", ""))
    sys.exit(not ready(where, int(os.environ.get("SSVP_PORT", "8080"))))
