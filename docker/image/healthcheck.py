"""Exit with 0 if the service in this container inspects images now; for an image without curl."""

import http.client
import os
import sys

TIMEOUT_S = 4.0


def ready(port: int) -> bool:
    """Ask /readyz on this machine."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(not ready(int(os.environ.get("SSVP_PORT", "8080"))))
