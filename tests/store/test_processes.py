"""Several processes on one file: kill -9, full disks and races lose nothing that was committed."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from store.samples import append, opened

TESTS = Path(__file__).resolve().parents[1]

# Says "verdicts N" or "correction N" after what it wrote is on the disk.
WRITER = """
import sys
from pathlib import Path
from store.samples import append, verdict
from winnow.store import Store
path, name = Path(sys.argv[1]), sys.argv[2]
store = Store.open(path, busy_timeout_seconds=20)
n = 0
while n < int(sys.argv[3]):
    for i in range(20):
        store.record(verdict(id=f"{name}.{n}.{i}", identity=name), door="http", at=1e10)
    with store.correction() as log:
        append(log, f"{name}.{n}", step=b"s" * 3000)
    n += 1
    print("correction", n, flush=True)
    assert store.flush(60)
    print("verdicts", store.recorded, flush=True)
assert store.lost == 0
store.close()
"""


def start(path: Path, name: str, rounds: int, script: str = WRITER) -> subprocess.Popen[str]:
    """Start a writer process."""
    return subprocess.Popen(
        [sys.executable, "-c", script, str(path), name, str(rounds)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )


def promised(output: str, kind: str) -> int:
    """Return the last whole number that a writer said of a kind."""
    lines = [line.split() for line in output.splitlines(keepends=True) if line.endswith("\n")]
    return max((int(words[1]) for words in lines if words[0] == kind), default=0)


@pytest.mark.slow
def test_four_writers_a_reader_and_a_kill(tmp_path: Path):
    """What a killed process had committed is there, and the others never notice."""
    path = tmp_path / "w.db"
    victim = start(path, "victim", 1_000_000)
    others = [start(path, f"other{n}", 15) for n in range(3)]
    with opened(path, busy_timeout_seconds=20) as reader:
        seen: list[int] = []
        while not any(row.identity == "victim.4" for row in reader.corrections()):
            seen.append(reader.latest_correction())
            time.sleep(0.002)
        victim.send_signal(signal.SIGKILL)
        said = {"victim": victim.communicate(timeout=60)[0]}
        assert victim.returncode == -signal.SIGKILL
        for number, other in enumerate(others):
            said[f"other{number}"] = other.communicate(timeout=60)[0]
            assert other.returncode == 0
        assert seen == sorted(seen)
        rows = reader.corrections()
        assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
        for name, output in said.items():
            kept = sum(row.identity.startswith(f"{name}.") for row in rows)
            assert promised(output, "correction") <= kept <= promised(output, "correction") + 1
            assert len(reader.find(name)) >= min(1000, promised(output, "verdicts"))
        assert promised(said["victim"], "correction") >= 4
        assert promised(said["other0"], "verdicts") == 300
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    connection.close()


KILLED_HALF_WAY = """
import os, signal, sys
from pathlib import Path
from store.samples import append
from winnow.store import Store
store = Store.open(Path(sys.argv[1]))
with store.correction() as log:
    append(log, "half", step=b"s" * 5_000_000)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_in_the_middle_of_a_correction(tmp_path: Path):
    """Half a correction is no correction, and its lock dies with the process."""
    path = tmp_path / "w.db"
    with opened(path, busy_timeout_seconds=0.5) as store:
        with store.correction() as log:
            append(log)
        killed = start(path, "x", 0, KILLED_HALF_WAY)
        killed.communicate(timeout=60)
        assert killed.returncode == -signal.SIGKILL
        assert [row.identity for row in store.corrections()] == ["ab12"]
        with store.correction() as log:
            assert append(log, "cd34") == 2


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from store.samples import append, verdict
from winnow.errors import StoreError
from winnow.store import Store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = Store.open(Path(sys.argv[1]))
with store.correction() as log:
    append(log, "before")
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
try:
    with store.correction() as log:
        append(log, "too big", step=b"s" * 1_000_000)
except StoreError as error:
    print("refused:", error)
for i in range(5000):
    store.record(verdict(id=str(i)), door="http", at=1e10)
assert store.flush(30)
assert store.recorded + store.lost == 5000, (store.recorded, store.lost)
print("lost", store.lost > 0, store.last_error != "")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
with store.correction() as log:
    append(log, "after")
lost = store.lost
store.record(verdict(id="after"), door="http", at=1e10)
assert store.flush(30)
assert store.lost == lost
store.close()
print("done")
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no limit on file sizes here")
def test_the_operating_system_refuses_to_let_the_file_grow(tmp_path: Path):
    """A real write error: corrections are refused whole, verdicts counted, and then all goes on."""
    path = tmp_path / "w.db"
    process = start(path, "x", 0, FULL_DISK)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert output.startswith("refused:")
    assert output.endswith("lost True True\ndone\n")
    with opened(path) as store:
        assert [row.identity for row in store.corrections()] == ["before", "after"]
        assert len(store.find("after")) == 1


OPENER = """
import sys
from pathlib import Path
from winnow.store import Store
Store.open(Path(sys.argv[1]), busy_timeout_seconds=20).close()
"""


def test_many_processes_may_create_it_at_once(tmp_path: Path):
    """A server's workers all start at the same moment on a new machine."""
    path = tmp_path / "w.db"
    processes = [start(path, "x", 0, OPENER) for _ in range(6)]
    for process in processes:
        process.communicate(timeout=60)
    assert [process.returncode for process in processes] == [0] * 6
