"""Offers of another protocol are passed over, as RFC 9110 section 7.8 allows: the request goes on in HTTP/1.1.

Java's HTTP client, and with it much of the software around a line, offers HTTP/2 with its first request,
`Upgrade: h2c`. httptools then takes the request for ended where its headers end, and its body for another
protocol: the picture would be missing. Knows the parser; knows neither connections nor what is asked.
"""

from typing import Protocol

import httptools

_FRAMING = (b"content-length", b"transfer-encoding")


class Listener(Protocol):
    """What hears of a request's pieces: uvicorn's protocol."""

    def on_message_begin(self) -> None:
        """A request begins."""
        ...

    def on_url(self, url: bytes) -> None:
        """A piece of the target."""
        ...

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field, of the headers or the trailers."""
        ...

    def on_headers_complete(self) -> None:
        """The body begins."""
        ...

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        ...

    def on_message_complete(self) -> None:
        """The request ends."""
        ...


class UpgradeDeafParser:
    """httptools' parser for a listener that never hears of an upgrade.

    Where httptools stops behind the headers, a fresh parser is told how the body is framed and goes on.

    Args:
        listener: hears of the pieces, as from httptools itself.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._framing: list[bytes] = []  # of the request that is being read
        self._offered = False  # httptools takes it for the last of its kind
        self._repeating = False  # the listener has heard all of this
        self.on_body = listener.on_body  # what comes most often goes straight there
        self._parser = self._fresh()

    def feed_data(self, data: bytes) -> None:
        """Parse what came.

        Raises:
            httptools.HttpParserError: it is no HTTP.
        """
        while True:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                data = data[offer.args[0] :]
                self._go_on()
            else:
                return

    def get_http_version(self) -> str:
        """Return the request's version, `1.1`."""
        return self._parser.get_http_version()

    def get_method(self) -> bytes:
        """Return the request's method."""
        return self._parser.get_method()

    def should_keep_alive(self) -> bool:
        """Tell whether the caller keeps the connection."""
        return self._parser.should_keep_alive()

    def should_upgrade(self) -> bool:
        """Tell that nothing is ever upgraded."""
        return False

    def on_message_begin(self) -> None:
        """A request begins."""
        if not self._repeating:
            self._framing = []
            self._listener.on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A piece of the target."""
        if not self._repeating:
            self._listener.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field; note those that say where the body ends."""
        if self._repeating:
            return
        if name.lower() in _FRAMING:
            self._framing.append(name + b": " + value)
        self._listener.on_header(name, value)

    def on_headers_complete(self) -> None:
        """The body begins."""
        if not self._repeating:
            self._offered = self._parser.should_upgrade()
            self._listener.on_headers_complete()

    def on_message_complete(self) -> None:
        """The request ends, unless its body only seems to be another protocol's."""
        if not self._offered:
            self._listener.on_message_complete()

    def _go_on(self) -> None:
        close = [] if self._parser.should_keep_alive() else [b"connection: close"]
        self._parser, self._offered, self._repeating = self._fresh(), False, True
        head = b"\r\n".join([b"POST / HTTP/1.1", *self._framing, *close, b"", b""])
        try:
            self._parser.feed_data(head)
        finally:
            self._repeating = False

    def _fresh(self) -> "httptools.HttpRequestParser":
        parser = httptools.HttpRequestParser(self)
        # As uvicorn asks for: what comes after `Connection: close` is dropped, it is no error.
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return parser
