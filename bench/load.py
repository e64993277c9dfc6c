"""Clients that ask a server, each a process of its own so that none waits for another's turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection

Ask = Callable[[bytes], bool]
_LEAD_SECONDS = 0.2  # for all clients to be there before the first one asks


@dataclass(slots=True)
class Load:
    """What the clients saw.

    Attributes:
        latencies: seconds from when a request was due to its answer.
        seconds: from the first request to the last answer.
        failures: requests without a good answer.
    """

    latencies: list[float] = field(default_factory=list)
    seconds: float = 0.0
    failures: int = 0

    @property
    def per_second(self) -> float:
        """Good answers a second."""
        return (len(self.latencies) - self.failures) / self.seconds if self.seconds else 0.0

    def percentile_ms(self, percent: float) -> float:
        """Return the latency in milliseconds that so many percent of the requests kept within."""
        ordered = sorted(self.latencies)
        return 1e3 * ordered[min(len(ordered) - 1, int(percent / 100 * len(ordered)))]

    def add(self, other: Load) -> None:
        """Take in another run against the same server."""
        self.latencies += other.latencies
        self.seconds += other.seconds
        self.failures += other.failures


def drive(
    connect: Callable[[], Ask], messages: Sequence[bytes], *, clients: int, rate: float = 0.0
) -> Load:
    """Send messages from several clients at once.

    Args:
        connect: called once in each client; what it returns sends one message.
        messages: shared out among the clients.
        clients: how many.
        rate: requests a second over all clients, evenly spaced, whatever the server does; a late
            one counts from when it was due. 0: each client asks again once it is answered.
    """
    context = get_context("fork")
    begin = time.monotonic() + _LEAD_SECONDS
    pipes, processes = [], []
    for client in range(clients):
        own = messages[client::clients]
        due = [begin + (client + k * clients) / rate if rate else begin for k in range(len(own))]
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_client, args=(connect, own, due, bool(rate), sender))
        process.start()
        sender.close()
        pipes.append(receiver)
        processes.append(process)
    times = [row for pipe in pipes for row in pipe.recv()]
    for process in processes:
        process.join()
    return Load(
        [end - start for start, end, _ in times],
        max(end for _, end, _ in times) - begin,
        sum(not good for _, _, good in times),
    )


def _client(
    connect: Callable[[], Ask],
    messages: Sequence[bytes],
    due: Sequence[float],
    paced: bool,
    sender: Connection,
) -> None:
    ask = connect()
    times = []
    for message, at in zip(messages, due, strict=True):
        if (wait := at - time.monotonic()) > 0:
            time.sleep(wait)
        start = at if paced else time.monotonic()
        try:
            good = ask(message)
        except OSError:
            good = False
        times.append((start, time.monotonic(), good))
    sender.send(times)
    sender.close()
