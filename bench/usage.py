"""CPU time and memory of programs: of a running tree of processes, and of one that has ended."""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TICKS = os.sysconf("SC_CLK_TCK")
RESIDENT, SHARED_ONCE = "resident MB", "shared pages once, MB"
_PPID, _UTIME, _CSTIME = 1, 11, 14  # fields of /proc/PID/stat after the name


def unprivileged() -> dict[str, Any]:
    """Options for Popen: as root a peer runs as "nobody", as it would as a service."""
    return {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}


def hand_over(folder: Path) -> None:
    """Let an unprivileged peer write in a folder."""
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, *_nobody())


def _nobody() -> tuple[int, int]:
    import grp
    import pwd

    return pwd.getpwnam("nobody").pw_uid, grp.getgrnam("nogroup").gr_gid


def _stat(pid: int) -> list[str]:
    """Fields after the name, which may itself hold blanks and parentheses; none if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def tree(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    stats = {int(path.name): _stat(int(path.name)) for path in Path("/proc").glob("[0-9]*")}
    found = [pid]
    for parent in found:
        found += [child for child, stat in stats.items() if stat and int(stat[_PPID]) == parent]
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a tree so far, with those of its children that have ended."""
    stats = [stat for member in tree(pid) if (stat := _stat(member))]
    return sum(int(ticks) for stat in stats for ticks in stat[_UTIME : _CSTIME + 1]) / TICKS


def resident_mb(pid: int, kind: str = "Rss") -> float:
    """Memory of a tree in MB.

    Args:
        pid: its root.
        kind: "Rss" counts a page that processes share once for each of them, "Pss" once in all.
    """
    kilobytes = 0
    for member in tree(pid):
        try:
            text = Path(f"/proc/{member}/smaps_rollup").read_text("utf-8")
        except OSError:
            continue
        kilobytes += sum(
            int(li.split()[1]) for li in text.splitlines() if li.startswith(f"{kind}:")
        )
    return kilobytes * 1024 / 1e6


def memory(pid: int) -> dict[str, float]:
    """Return the two ways of counting the memory of a tree, as figures are named."""
    return {RESIDENT: resident_mb(pid), SHARED_ONCE: resident_mb(pid, "Pss")}


def settle(pid: int, *, timeout_seconds: float = 60) -> None:
    """Wait until a daemon has finished what it does after its start."""
    deadline = time.monotonic() + timeout_seconds
    before = cpu_seconds(pid)
    while time.monotonic() < deadline:
        time.sleep(1)
        now = cpu_seconds(pid)
        if now - before < 0.03:
            return
        before = now


@dataclass(frozen=True, slots=True)
class Run:
    """A program that has ended.

    Attributes:
        output: what it wrote to standard output.
        cpu_seconds: user and system time, its children's included.
        resident_mb: the most memory that it held.
    """

    output: bytes
    cpu_seconds: float
    resident_mb: float


def run(
    command: Sequence[str | Path],
    *,
    text: bytes = b"",
    env: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
    good: Collection[int] = (0,),
) -> Run:
    """Run a program to its end.

    Args:
        command: the program and its arguments.
        text: for its standard input.
        env: its environment.
        options: for Popen; None runs it unprivileged.
        good: statuses that do not mean failure.

    Raises:
        OSError: it cannot be started, or ends with another status; with its last words.
    """
    with (
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryFile() as taken,
        tempfile.TemporaryFile() as errors,
    ):
        given.write(text)
        given.seek(0)
        process = subprocess.Popen(
            command,
            stdin=given,
            stdout=taken,
            stderr=errors,
            env=env,
            **(unprivileged() if options is None else options),
        )
        status, used, peak = _watched(process.pid)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in good:
            errors.seek(0)
            last = errors.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
            raise OSError(f"{command[0]} ended with status {process.returncode}: {last}")
        taken.seek(0)
        output = taken.read()
    return Run(output, used.ru_utime + used.ru_stime, peak)


def _watched(pid: int) -> tuple[int, resource.struct_rusage, float]:
    """Wait for a process; return its status, what it used, and the most memory it held in MB.

    ru_maxrss would not do: it begins with the memory of this process, from before the exec.
    """
    peak = 0.0
    while True:
        peak = max(peak, _high_water_mb(pid))
        ended, status, used = os.wait4(pid, os.WNOHANG)
        if ended:
            return status, used, peak
        time.sleep(0.002)


def _high_water_mb(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text("utf-8")
    found = [line.split()[1] for line in text.splitlines() if line.startswith("VmHWM:")]
    return int(found[0]) * 1024 / 1e6 if found else 0.0
