"""Sockets: where to listen, and whether that is only this machine."""

from __future__ import annotations

import ipaddress
import os
import socket

from winnow.errors import InputError
from winnow.serving.wire import LISTEN_BACKLOG


def bind(host: str, port: int, *, allow_remote: bool) -> socket.socket:
    """Return a listening socket.

    Args:
        host: name or address; of several addresses the first is taken.
        port: 0 lets the system choose.
        allow_remote: whether an address that other machines reach is meant.

    Raises:
        InputError: it cannot be bound, or other machines would reach it and that is not meant.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise InputError(f"cannot listen on {host!r}: {error}") from None
    family, kind, protocol, _, address = found[0]
    if not is_loopback(str(address[0])) and not allow_remote:
        raise InputError(
            f"{host} can be reached from other machines and Winnow has no password yet; "
            "add --allow-remote if that is what you want"
        )
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(LISTEN_BACKLOG)
    except OSError as error:
        listener.close()
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise InputError(f"cannot listen on {host} port {port}: {reason}") from None
    listener.setblocking(False)
    return listener


def is_loopback(address: str) -> bool:
    """Tell whether only this machine reaches a numeric address."""
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def bound_to(listener: socket.socket) -> str:
    """Return the address that was bound, as "host:port"."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
