"""Winnow beside other filters on one fixed split: the same bytes, one run, scanned in turn."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from bench.figures import Figure, Settings
from bench.peer import AbstractPeer, Answer, Mail, read_split
from bench.peer_bogofilter import Bogofilter
from bench.peer_rspamd import RspamdPeer
from bench.peer_spamassassin import SpamAssassin
from bench.peer_winnow import Winnow, WinnowServer
from bench.usage import RESIDENT
from winnow.training.metrics import Scored, one_minus_roca_percent, spam_missed_at_ham_lost

ROUNDS = 6
HAM_LOST = 0.5  # percent
BOGOFILTER = Bogofilter.name
# The folder's name; the server uses the model that the first one trained.
PEERS: dict[str, Callable[[Path, ExitStack], AbstractPeer]] = {
    "winnow": Winnow,
    "winnow-serve": WinnowServer,
    "bogofilter": Bogofilter,
    "spamassassin": SpamAssassin,
    "rspamd": RspamdPeer,
}
_ROCA, _AT_HAM_LOST = "1-ROCA %", f"sm % at hm <= {HAM_LOST}"
_TRAINING, _SCANNING = "train CPU ms/msg", "scan CPU ms/msg"
TARGETS = {
    ("winnow, in process", _ROCA): 0.04,
    ("winnow, in process", _AT_HAM_LOST): 1.5,
    ("winnow, in process", _TRAINING): 2.0,
    ("winnow, in process", _SCANNING): 0.5,
    ("winnow serve", _SCANNING): 0.5,
    ("winnow serve", RESIDENT): 150.0,
}


def peers(settings: Settings) -> Iterator[Figure]:
    """Train every filter that is installed, then ask them in turn."""
    if not settings.split.exists() or not settings.corpus("spamassassin").exists():
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)  # for peers that run as another user
        train, test = read_split(settings, folder)
        entered = []
        for name, opener in PEERS.items():
            try:
                peer = opener(folder / name, stack)
                seconds = peer.train(train)
            except OSError as error:
                print(f"peers: {name} passed over: {error}", flush=True)
                continue
            print(f"peers: {peer.name} is trained{peer.note}", flush=True)
            if seconds is not None:
                yield _figure(peer, _TRAINING, 1e3 * seconds / len(train))
            entered.append(peer)
        yield from _scanned_in_turn(entered, test)


def _scanned_in_turn(entered: Sequence[AbstractPeer], test: Sequence[Mail]) -> Iterator[Figure]:
    """Give each round's part of the mail to one filter after the other."""
    own = {peer.name: list(test[:: peer.every]) for peer in entered}
    answers: dict[str, list[Answer]] = {peer.name: [] for peer in entered}
    seconds = dict.fromkeys(own, 0.0)
    answering = list(entered)
    for turn in range(ROUNDS):
        for peer in tuple(answering):
            mail = own[peer.name]
            cut = slice(turn * len(mail) // ROUNDS, (turn + 1) * len(mail) // ROUNDS)
            try:
                found, cpu_seconds = peer.scan(mail[cut])
            except OSError as error:
                print(f"peers: {peer.name} passed over: {error}", flush=True)
                answering.remove(peer)
                continue
            answers[peer.name] += found
            seconds[peer.name] += cpu_seconds
    for peer in answering:
        mail = own[peer.name]
        if BOGOFILTER in seconds and peer.every == 1:
            yield _figure(peer, "scan, times bogofilter", seconds[peer.name] / seconds[BOGOFILTER])
        for what, percent in quality(mail, answers[peer.name]).items():
            yield _figure(peer, what, percent)
        yield _figure(peer, _SCANNING, 1e3 * seconds[peer.name] / len(mail))
        for what, value in peer.memory().items():
            yield _figure(peer, what, value)
        yield _figure(peer, "messages", float(len(mail)))


def quality(mail: Sequence[Mail], answers: Sequence[Answer]) -> dict[str, float | None]:
    """Return how well the answers tell spam from ham, in percent."""
    label = np.array([one.spam for one in mail])
    called = np.array([answer.spam for answer in answers])
    # Only the order counts, so scores of any scale become ranks within 0..1.
    _, ranks = np.unique([answer.score for answer in answers], return_inverse=True)
    scored = Scored(ranks / max(1, ranks.max()), label, ("",) * len(mail))
    fresh = ~np.array([one.repeat for one in mail])
    unrepeated = Scored(scored.probability[fresh], label[fresh], ("",) * int(fresh.sum()))
    missed = spam_missed_at_ham_lost(scored, HAM_LOST)
    return {
        _ROCA: one_minus_roca_percent(scored),
        _AT_HAM_LOST: None if missed is None else 100 * missed,
        "hm %": 100 * float(called[~label].mean()),
        "sm %": 100 * float((~called[label]).mean()),
        "no-dup 1-ROCA %": one_minus_roca_percent(unrepeated),
    }


def _figure(peer: AbstractPeer, what: str, value: float | None) -> Figure:
    return Figure("peers", peer.name, what, value, TARGETS.get((peer.name, what)))
