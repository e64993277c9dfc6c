"""`winnow serve`: answer over HTTP and the spamd protocol until told to stop."""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from winnow.cli.terminal import add_device
from winnow.errors import InputError
from winnow.serving.settings import HTTP_PORT, SPAMD_PORT, Limits, Settings

if TYPE_CHECKING:
    from winnow.pipeline import Filter
    from winnow.serving.server import Ready

NAME = "serve"
HELP = "answer over HTTP and the spamd protocol until told to stop"
_MOST_WORKERS = 64
_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options; docs/reference/serve.md lists them."""
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=_port, default=HTTP_PORT, help="HTTP port, 0 for any (default: %(default)s)")
    add(
        "--spamd-port",
        type=_port,
        default=SPAMD_PORT,
        help="port of the spamd protocol, 0 for any (default: %(default)s)",
    )
    add("--no-spamd", action="store_true", help="do not speak the spamd protocol")
    add("--workers", type=_workers, default=1, help="worker processes (default: %(default)s)")
    add("--model", type=Path, metavar="DIR", help="model folder (default: the one that ships)")
    add_device(parser)
    add("--rules", type=Path, metavar="FILE", help="rule file (default: 0.90 junk, 0.50 flag)")
    add(
        "--store",
        type=Path,
        metavar="FILE",
        help="database (default: winnow/winnow.db in the user's state folder)",
    )
    add("--no-store", action="store_true", help="keep no log and learn nothing")
    add(
        "--retention-days",
        type=_positive,
        default=90,
        metavar="DAYS",
        help="delete logged verdicts older than this (default: %(default)s)",
    )
    add(
        "--allow-remote",
        action="store_true",
        help="let --host be an address that other machines reach; there is no password yet",
    )
    add(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="further name that the Host header of a request may carry; may be repeated",
    )
    add("--ready-file", type=Path, metavar="FILE", help="write the bound ports here as JSON")
    _add_limits(parser.add_argument_group("limits"))
    add(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="info",
        help="how much to log to standard error (default: %(default)s)",
    )


def _add_limits(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--scan-limit",
        type=_positive,
        default=1024 * 1024,
        metavar="BYTES",
        help="how much of the beginning of a message is looked at (default: %(default)s)",
    )
    group.add_argument(
        "--max-message-bytes",
        type=_positive,
        default=64 * 1024 * 1024,
        metavar="BYTES",
        help="longer messages are refused (default: %(default)s)",
    )
    group.add_argument(
        "--deadline-ms",
        type=_positive,
        default=5000,
        metavar="MS",
        help="answers that take longer are given up (default: %(default)s)",
    )
    group.add_argument(
        "--grace-seconds",
        type=_positive,
        default=10,
        metavar="S",
        help="time for requests in flight when the server stops (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Serve. Raises WinnowError when the server cannot start."""
    if args.no_store and args.store:
        raise InputError("--store and --no-store: give one of them")
    # Before numpy is loaded: a matrix library's threads cost memory and do not survive a fork,
    # and one message is too small to share out.
    for name in _ONE_THREAD:
        os.environ.setdefault(name, "1")
    from winnow.pipeline import default_store_path
    from winnow.serving import logs
    from winnow.serving.server import serve

    store = None if args.no_store else args.store or default_store_path()
    logs.configure(args.log_level)
    if args.allow_remote:
        _say("other machines may reach this server, and it has no password yet", sys.stderr)
    settings = settings_from(args)
    open_filter = partial(
        open_filter_for, settings, args.rules, store, retention_days=float(args.retention_days)
    )
    serve(settings, open_filter, announce=_announce)
    return 0


def open_filter_for(
    settings: Settings, rules: Path | None, store: Path | None, *, retention_days: float
) -> Filter:
    """Open model, rules and store as the server uses them. Raises WinnowError.

    Args:
        settings: which model, and how long an answer may take.
        rules: rule file, None for the default thresholds.
        store: database, None for none.
        retention_days: how long verdicts are kept.
    """
    from winnow.pipeline import Filter

    opened = Filter.open(settings.watch, rules=rules, store=store, device=settings.device)
    if opened.store is not None:
        opened.store.retention_days = retention_days
        # So that a client hears that the database is locked, and not that there was no answer.
        opened.store.wait_at_most(settings.limits.deadline_seconds / 2)
    return opened


def settings_from(args: argparse.Namespace) -> Settings:
    """Return what the options say."""
    return Settings(
        host=args.host,
        port=args.port,
        spamd_port=None if args.no_spamd else args.spamd_port,
        workers=args.workers,
        allow_remote=args.allow_remote,
        allowed_hosts=tuple(args.allow_host),
        watch=args.model,
        device=args.device,
        grace_seconds=float(args.grace_seconds),
        ready_file=args.ready_file,
        limits=Limits(
            scan_bytes=args.scan_limit,
            message_bytes=args.max_message_bytes,
            deadline_seconds=args.deadline_ms / 1000,
        ),
    )


def _announce(ready: Ready) -> None:
    parts = [f"http={ready.http}", f"workers={ready.workers}", f"model={ready.model}"]
    parts.append(f"device={ready.device}")
    if ready.spamd is not None:
        parts.insert(1, f"spamd={ready.spamd}")
    _say(f"ready pid={ready.pid} {' '.join(parts)}", sys.stdout)


def _say(text: str, stream: TextIO) -> None:
    stream.write(f"winnow: {text}\n")
    stream.flush()


def _port(word: str) -> int:
    return _whole(word, 0, 65535)


def _workers(word: str) -> int:
    return _whole(word, 1, _MOST_WORKERS)


def _positive(word: str) -> int:
    return _whole(word, 1, 2**40)


def _whole(word: str, least: int, most: int) -> int:
    if not word.isdecimal() or not least <= int(word) <= most:
        raise argparse.ArgumentTypeError(f"a number from {least} to {most} is wanted, not {word!r}")
    return int(word)
