"""The server as a whole: its sockets, its workers, and the word that it answers."""

from __future__ import annotations

import ctypes
import gc
import json
import logging
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

from winnow.errors import InputError, WinnowError
from winnow.serving.binding import bind, bound_to
from winnow.serving.filter import AbstractFilter
from winnow.serving.settings import Settings
from winnow.serving.supervisor import Supervisor

logger = logging.getLogger("winnow.serving")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """Where the server answers, once it does.

    Attributes:
        pid: process to signal.
        http: URL of the HTTP door, with the port that was bound.
        spamd: "host:port" of the spamd door, or None.
        workers: number of worker processes.
        model: name and short digest of the model.
        device: that it runs on.
    """

    pid: int
    http: str
    spamd: str | None
    workers: int
    model: str
    device: str

    def to_json(self) -> str:
        """Return it as one line of JSON."""
        return json.dumps(asdict(self))


def serve(
    settings: Settings,
    open_filter: Callable[[], AbstractFilter],
    *,
    announce: Callable[[Ready], None],
) -> None:
    """Serve until SIGTERM or SIGINT. Call it in the main thread of a process without others.

    Args:
        settings: what the operator decided.
        open_filter: opens model, rules and store. Called once before the workers are there, to
            fail early and to have all code loaded before the fork, and once in each worker.
        announce: called once, when all workers answer.

    Raises:
        InputError: an address cannot be bound, or a worker cannot start.
        WinnowError: what `open_filter` raises.
    """
    http = bind(settings.host, settings.port, allow_remote=settings.allow_remote)
    spamd = None
    if settings.spamd_port is not None:
        spamd = bind(settings.host, settings.spamd_port, allow_remote=settings.allow_remote)
    model, device = open_once(open_filter, apart=settings.device != "cpu")
    gc.collect()
    _give_back_memory()
    gc.freeze()  # what the processes share stays shared: the collector would write to it

    def when_ready() -> None:
        ready = Ready(
            pid=os.getpid(),
            http=f"http://{bound_to(http)}",
            spamd=bound_to(spamd) if spamd else None,
            workers=settings.workers,
            model=model,
            device=device,
        )
        if settings.ready_file is not None:
            _write(settings.ready_file, ready)
        tell_service_manager("READY=1")
        announce(ready)

    try:
        Supervisor(settings, open_filter, http, spamd).run(when_ready)
    finally:
        if settings.ready_file is not None:
            with suppress(OSError):  # it may never have been there
                settings.ready_file.unlink()


def open_once(open_filter: Callable[[], AbstractFilter], *, apart: bool) -> tuple[str, str]:
    """Open and close once; return the names of the model and of the device that it runs on.

    Args:
        open_filter: opens model, rules and store.
        apart: in a process of its own. Drivers of hardware do not survive a fork, so this one,
            which the workers are forked from, must not have started any.

    Raises:
        WinnowError: what `open_filter` raises.
        InputError: so, where it was done apart, or the process died of it.
    """
    if not apart:
        trial = open_filter()
        found = (trial.model, trial.device)
        trial.close()
        return found
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _tell(open_filter, writing)
    os.close(writing)
    with open(reading, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    answer = json.loads(told or b"{}")
    if "error" in answer:
        raise InputError(answer["error"])
    if not answer:
        ended = os.waitstatus_to_exitcode(status)
        raise InputError(
            f"the model could not be opened: its process ended with status {ended}; another "
            "--device may do."
        )
    return answer["model"], answer["device"]


def _tell(open_filter: Callable[[], AbstractFilter], pipe: int) -> NoReturn:
    """Open once in this process, a fresh fork, tell what was found, and end it."""
    status = 1
    try:
        try:
            model, device = open_once(open_filter, apart=False)
            answer = {"model": model, "device": device}
        except WinnowError as error:
            answer = {"error": str(error)}
        os.write(pipe, json.dumps(answer).encode())
        status = 0
    except BaseException:
        logger.critical("event=trial_crashed", exc_info=True)
    finally:
        logging.shutdown()
        # Not sys.exit: what the parent has on its stack is not ours to unwind.
        os._exit(status)


def _give_back_memory() -> None:
    """Let the system have what the trial took; the GNU C library would keep some 10 MB of it."""
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def _write(path: Path, ready: Ready) -> None:
    """Write the file so that whoever waits for it never sees half of it."""
    temporary = path.with_name(path.name + ".new")
    try:
        temporary.write_text(ready.to_json() + "\n", "utf-8")
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"cannot write the ready file: {error}") from None


def tell_service_manager(word: str) -> None:
    """Tell systemd, when it started us and wants to know (`Type=notify`)."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.sendto(word.encode(), address)
