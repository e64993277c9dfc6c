"""Where the server listens."""

from __future__ import annotations

import socket

import pytest

from winnow.errors import InputError
from winnow.serving.binding import bind, bound_to, is_loopback


def test_a_port_of_the_systems_choice():
    """Protects port 0: the socket listens, and tells which port it got."""
    with bind("127.0.0.1", 0, allow_remote=False) as listener:
        host, _, port = bound_to(listener).rpartition(":")
        assert host == "127.0.0.1"
        socket.create_connection((host, int(port)), timeout=10).close()


def test_ipv6():
    """Protects IPv6 hosts: the address is bound, and written with brackets."""
    with bind("::1", 0, allow_remote=False) as listener:
        assert bound_to(listener).startswith("[::1]:")


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_other_machines_are_kept_out(host: str):
    """Protects a server without a password: off loopback it must be meant."""
    with pytest.raises(InputError, match="--allow-remote"):
        bind(host, 0, allow_remote=False)
    bind(host, 0, allow_remote=True).close()


@pytest.mark.parametrize("host", ["no such host", "256.1.1.1", "a" * 300, "192.0.2.1"])
def test_what_cannot_be_bound(host: str):
    """Protects the owner: a sentence, not a traceback."""
    with pytest.raises(InputError, match="cannot listen on"):
        bind(host, 0, allow_remote=True)


def test_taken_port():
    """Protects from two servers on one port."""
    with bind("127.0.0.1", 0, allow_remote=False) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port}: Address already in use"):
            bind("127.0.0.1", port, allow_remote=False)


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.9.9.9", True), ("::1", True), ("fe80::1%eth0", False), ("10.0.0.1", False)],
)
def test_loopback(address: str, expected: bool):
    """Protects the question that decides who may reach us."""
    assert is_loopback(address) is expected
