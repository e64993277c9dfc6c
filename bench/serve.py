"""How a real server answers: HTTP at a steady rate, and side by side with other daemons."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection
from pathlib import Path

from bench.daemon import ASK_SECONDS, HOST, exchange, http_request, spamd_request
from bench.figures import Figure, Settings
from bench.load import Ask, Load, drive
from bench.peer_rspamd import rspamd
from bench.peer_spamassassin import spamd
from bench.usage import RESIDENT, cpu_seconds, memory, settle
from bench.winnow_server import serving
from winnow.corpus import open_corpus

RATE = 200.0  # requests a second
HTTP_CLIENTS = 4
HTTP_CASES = {
    "1 worker": (1, "/v1/check"),
    "1 worker, no reasons": (1, "/v1/check?explain=false"),
    "2 workers": (2, "/v1/check"),
}
HTTP_TARGET = "1 worker"  # as it is when nobody configures anything
HTTP_TARGETS = {"p99 ms": 10.0, RESIDENT: 150.0, "s to first answer": 1.5, "failures": 0.0}
CLIENTS = (1, 2, 8)
ROUNDS = 3
WORKERS = 2


def http(settings: Settings) -> Iterator[Figure]:
    """200 requests a second over HTTP for 20 s, evenly spaced, connections kept open."""
    raws = _mail(settings, int(RATE * (4 if settings.quick else 20)))
    if not raws:
        return
    for subject, (workers, path) in HTTP_CASES.items():
        for what, value in _http(raws, workers, path).items():
            target = HTTP_TARGETS.get(what) if subject == HTTP_TARGET else None
            yield Figure("http", subject, what, value, target)


def _http(raws: Sequence[bytes], workers: int, path: str) -> dict[str, float]:
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder), workers=workers) as server,
    ):
        before = cpu_seconds(server.pid)
        load = drive(partial(_keep_alive, server.http, path), raws, clients=HTTP_CLIENTS, rate=RATE)
        cpu = cpu_seconds(server.pid) - before
        return {
            "p50 ms": load.percentile_ms(50),
            "p99 ms": load.percentile_ms(99),
            "CPU ms/msg": 1e3 * cpu / len(raws),
            "failures": float(load.failures),
            "s to first answer": server.start_seconds,
            **memory(server.pid),
        }


def _keep_alive(port: int, path: str) -> Ask:
    connection = HTTPConnection(HOST, port, timeout=ASK_SECONDS)

    def ask(raw: bytes) -> bool:
        connection.request("POST", path, raw, {"Content-Type": "message/rfc822"})
        answer = connection.getresponse()
        answer.read()
        return answer.status == 200

    return ask


@dataclass(frozen=True, slots=True)
class Door:
    """A daemon to ask.

    Attributes:
        name: of the daemon.
        pid: of its first process.
        ask: sends one message over a connection of its own.
        share: part of the messages that it gets, for one that is slow.
    """

    name: str
    pid: int
    ask: Ask
    share: float = 1.0


def daemons(settings: Settings) -> Iterator[Figure]:
    """One connection a message, 1, 2 and 8 clients, the daemons in turn."""
    raws = _mail(settings, 100 if settings.quick else 600)
    if not raws:
        return
    loads: dict[tuple[str, int], Load] = {}
    with ExitStack() as stack:
        doors = list(_doors(stack))
        for _ in range(1 if settings.quick else ROUNDS):
            for clients in CLIENTS:
                for door in doors:
                    own = raws[: int(len(raws) * door.share)]
                    load = drive(partial(_itself, door.ask), own, clients=clients)
                    loads.setdefault((door.name, clients), Load()).add(load)
        held = {door.name: memory(door.pid) for door in doors}
    yield from _daemon_figures(loads)
    for name, found in held.items():
        for what, megabytes in found.items():
            yield Figure("daemons", name, what, megabytes)


def _doors(stack: ExitStack) -> Iterator[Door]:
    """Start what is installed, all with two workers."""
    openers: tuple[Callable[[Path], Door], ...] = (
        lambda folder: _winnow_door(stack, folder),
        lambda folder: _rspamd_door(stack, folder),
        lambda folder: _spamd_door(stack, folder),
    )
    for opener in openers:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        try:
            door = opener(folder)
        except OSError as error:
            print(f"daemons: passed over: {error}", flush=True)
            continue
        settle(door.pid)
        yield door


def _winnow_door(stack: ExitStack, folder: Path) -> Door:
    server = stack.enter_context(serving(folder, workers=WORKERS))
    return Door("winnow serve", server.pid, partial(_ask_spamd, server.spamd))


def _rspamd_door(stack: ExitStack, folder: Path) -> Door:
    found = stack.enter_context(rspamd(folder, workers=WORKERS))
    return Door("rspamd", found.pid, partial(_ask_rspamd, found.scan_port))


def _spamd_door(stack: ExitStack, folder: Path) -> Door:
    pid, port = stack.enter_context(spamd(folder, workers=WORKERS))
    return Door("spamd", pid, partial(_ask_spamd, port), share=0.05)


def _ask_spamd(port: int, raw: bytes) -> bool:
    return b" 0 EX_OK\r\n" in exchange(port, spamd_request(raw), half_close=True)[:40]


def _ask_rspamd(port: int, raw: bytes) -> bool:
    return exchange(port, http_request(raw, "/checkv2")).startswith(b"HTTP/1.1 200")


def _itself(ask: Ask) -> Ask:
    return ask


def _daemon_figures(loads: dict[tuple[str, int], Load]) -> Iterator[Figure]:
    for (name, clients), load in loads.items():
        subject = f"{name}, {clients} clients"
        wanted = 10.0 if (name, clients) == ("winnow serve", 2) else None
        yield Figure("daemons", subject, "msg/s", load.per_second)
        yield Figure("daemons", subject, "p50 ms", load.percentile_ms(50))
        yield Figure("daemons", subject, "p99 ms", load.percentile_ms(99), wanted)
        yield Figure("daemons", subject, "failures", float(load.failures))
        if name == "winnow serve" and ("rspamd", clients) in loads:
            ratio = load.per_second / loads["rspamd", clients].per_second
            target = 3.0 if clients == 2 else None
            yield Figure("daemons", subject, "times rspamd", ratio, target, at_least=True)


def _mail(settings: Settings, count: int) -> Sequence[bytes]:
    """So many messages of SpamAssassin's corpus, spread over it, repeated if they are too few."""
    path = settings.corpus("spamassassin")
    if not path.exists():
        return []
    raws = [example.raw for example in open_corpus(path)]
    step = 997  # no divisor of the number of messages, so that every part of the corpus is met
    return [raws[k * step % len(raws)] for k in range(count)]
