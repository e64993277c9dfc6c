"""Foreign Host and Origin headers, and those that only look foreign."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from winnow.serving.guard import Guard


class _Door:
    def __init__(self) -> None:
        self.kinds: list[str] = []

    def failed(self, kind: str) -> None:
        """Note the kind."""
        self.kinds.append(kind)


def _ask(
    *headers: tuple[str, str], version: str = "1.1", server: str = "192.168.1.5"
) -> tuple[int, list[str]]:
    """Return the status, 200 when the request went through, and what was counted."""
    door = _Door()
    statuses = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    scope = {
        "type": "http",
        "scheme": "http",
        "http_version": version,
        "server": (server, 8025),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
    }
    guard = Guard(app, door=door, names=frozenset({"mail.example.org"}))  # type: ignore[arg-type]
    asyncio.run(guard(scope, receive, send))
    return statuses[0], door.kinds


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LOCALHOST:8025", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8025"),
        *("mail.example.org", "Mail.Example.org:80", "192.168.1.5:8025"),
    ],
)
def test_own_names(host: str):
    """Protects every way in which a client may rightly call this server."""
    assert _ask(("host", host)) == (200, [])


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8025", "localhost.evil.example", "127.0.0.1.evil.example"),
        *("192.168.1.6", "", "127.0.0.1@evil", "localhost:evil", "[::1", "\xff"),
    ],
)
def test_foreign_names(host: str):
    """Protects from DNS rebinding: a page's own name that was made to point here."""
    assert _ask(("host", host)) == (421, ["refused"])


def test_ipv6_address_of_the_connection():
    """Protects a server bound to an IPv6 address that is asked by that address."""
    assert _ask(("host", "[2001:db8::1]:8025"), server="2001:db8::1")[0] == 200
    assert _ask(("host", "[2001:db8::2]:8025"), server="2001:db8::1")[0] == 421


def test_host_headers_must_be_one():
    """Protects from requests that two programs would read differently."""
    assert _ask() == (400, ["malformed"])
    assert _ask(("host", "localhost"), ("host", "localhost"))[0] == 400
    assert _ask(version="1.0")[0] == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:8025", 200),
        ("HTTP://LOCALHOST:8025", 200),
        ("https://localhost:8025", 403),
        ("http://localhost", 403),
        ("http://127.0.0.1:8025", 403),
        ("http://evil.example", 403),
        ("null", 403),
        ("", 403),
    ],
)
def test_origins(origin: str, status: int):
    """Protects from posts by pages that this server did not send."""
    assert _ask(("host", "localhost:8025"), ("origin", origin))[0] == status


def test_other_scopes_pass():
    """Protects start and stop: only HTTP requests have headers to look at."""
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    guard = Guard(app, door=_Door(), names=frozenset())  # type: ignore[arg-type]
    asyncio.run(guard({"type": "lifespan"}, None, None))  # type: ignore[arg-type]
    assert seen == ["lifespan"]
