"""rspamd in the comparison: its rules and its Bayes in SQLite, without network tests."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.daemon import HOST, daemon, free_port, listens, post
from bench.peer import AbstractPeer, Answer, Mail
from bench.usage import cpu_seconds, hand_over, memory, settle, unprivileged

CONFIGURATION = Path("/etc/rspamd/rspamd.conf")  # as the package brings it; read, never written
CALLED_SPAM = ("reject", "add header", "rewrite subject")
# What asks the network, or a Redis that is not there.
_NETWORK = (
    *("rbl", "surbl", "spf", "dkim", "dkim_signing", "dmarc", "arc", "asn", "mx_check", "bimi"),
    *("fuzzy_check", "greylist", "ratelimit", "history_redis", "neural", "rspamd_update"),
    "url_redirector",
)


@dataclass(frozen=True, slots=True)
class Rspamd:
    """A running rspamd: its first process, and the ports to scan at and to learn at."""

    pid: int
    scan_port: int
    learn_port: int


@contextmanager
def rspamd(folder: Path, *, workers: int) -> Iterator[Rspamd]:
    """Run rspamd with the packaged configuration and our changes on top of it.

    Raises:
        OSError: it is not installed or does not start.
    """
    if not shutil.which("rspamd") or not CONFIGURATION.exists():
        raise OSError("rspamd is not installed")
    scan, learn = free_port(), free_port()
    _configure(folder, scan, learn, workers)
    hand_over(folder)
    command = ["rspamd", "--no-fork", "--config", f"{CONFIGURATION}"]
    for name in ("DBDIR", "RUNDIR", "LOGDIR", "LOCAL_CONFDIR"):
        command += ["--var", f"{name}={folder}"]
    with daemon(
        command,
        lambda: listens(scan) and listens(learn),
        log=folder.with_suffix(".log"),
        options=unprivileged(),
    ) as pid:
        yield Rspamd(pid, scan, learn)


def _configure(folder: Path, scan: int, learn: int, workers: int) -> None:
    statfile = 'statfile {{ symbol = "BAYES_{}"; path = "{}/{}.sqlite"; spam = {}; }}\n'
    files = {name + ".conf": "enabled = false;\n" for name in _NETWORK} | {
        "worker-normal.inc": f'bind_socket = "{HOST}:{scan}"; count = {workers};\n',
        "worker-controller.inc": f'bind_socket = "{HOST}:{learn}"; secure_ip = ["{HOST}"];\n',
        "worker-proxy.inc": "enabled = false;\n",
        "options.inc": f'dns {{ nameserver = ["{HOST}:1:1"]; timeout = 0.01s; retransmits = 1; }}\n'
        f'control_socket = "{folder}/rspamd.sock mode=0600";\n',
        "classifier-bayes.conf": 'backend = "sqlite3"; new_schema = false;\n'
        f'cache {{ type = "sqlite3"; path = "{folder}/learnt.sqlite"; }}\n'
        + statfile.format("HAM", folder, "ham", "false")
        + statfile.format("SPAM", folder, "spam", "true"),
    }
    (folder / "local.d").mkdir(parents=True)
    for name, text in files.items():
        (folder / "local.d" / name).write_text(text, "utf-8")


class RspamdPeer(AbstractPeer):
    """Rules and Bayes, learning as it comes: it refuses what it is sure of already."""

    name = "rspamd"

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._daemon = stack.enter_context(rspamd(folder, workers=1))
        settle(self._daemon.pid)

    def train(self, mail: Sequence[Mail]) -> float:
        """Hand the mail to the controller, in the order of the corpus."""
        before = cpu_seconds(self._daemon.pid)
        refused = 0
        for one in mail:
            path = "/learnspam" if one.spam else "/learnham"
            refused += post(self._daemon.learn_port, path, one.raw)[0] != 200
        self.note = f"; it refused to learn {refused:,} of {len(mail):,} messages"
        return cpu_seconds(self._daemon.pid) - before

    def scan(self, mail: Sequence[Mail]) -> tuple[list[Answer], float]:
        """Ask the scanning worker."""
        before = cpu_seconds(self._daemon.pid)
        bodies = [post(self._daemon.scan_port, "/checkv2", one.raw)[1] for one in mail]
        seconds = cpu_seconds(self._daemon.pid) - before
        found = [json.loads(body) for body in bodies]
        return [Answer(v["score"], v["action"] in CALLED_SPAM) for v in found], seconds

    def memory(self) -> dict[str, float]:
        """All of its processes."""
        return memory(self._daemon.pid)
