"""Who may talk to the HTTP door: nobody through the browser of a person on this machine.

The door has no password; being on loopback is its protection. Two ways around that are closed:
a foreign page whose name was made to point here (DNS rebinding: its Host header is foreign), and a
foreign page that posts here (its Origin header is foreign).
"""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from winnow.serving.answers import error_answer
from winnow.serving.engine import Door

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


class Guard:
    """ASGI middleware that refuses foreign Host and Origin headers.

    Args:
        app: what to protect.
        door: where to count refusals.
        names: names of this server that a Host header may carry, beside those of loopback and
            the address the connection came in at; lower case.
    """

    def __init__(self, app: ASGIApp, *, door: Door, names: frozenset[str]) -> None:
        self._app = app
        self._door = door
        self._names = names | LOOPBACK_NAMES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer for the app, or hand the request on."""
        fault = self._fault(scope) if scope["type"] == "http" else None
        if fault is None:
            await self._app(scope, receive, send)
            return
        status, message = fault
        self._door.failed("malformed" if status == 400 else "refused")
        await error_answer(status, message)(scope, receive, send)

    def _fault(self, scope: Scope) -> tuple[int, str] | None:
        hosts = _values(scope, b"host")
        if len(hosts) > 1 or (not hosts and scope["http_version"] != "1.0"):
            return 400, "one Host header is wanted"
        # Only HTTP/1.0 comes without: no browser speaks it.
        host = hosts[0].lower() if hosts else "localhost"
        if not self._is_own(_without_port(host), scope):
            return 421, "the Host header names another server; see --allow-host"
        origins = _values(scope, b"origin")
        if any(origin.lower() != f"{scope['scheme']}://{host}" for origin in origins):
            return 403, "requests from pages of other servers are refused"
        return None

    def _is_own(self, name: str, scope: Scope) -> bool:
        if name in self._names:
            return True
        address = (scope.get("server") or ("",))[0]
        return bool(address) and name.strip("[]") == address


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def _without_port(host: str) -> str:
    if host.endswith("]"):  # a bare IPv6 address
        return host
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() else host
