"""`python -m bench`, or `make bench`: every figure, or those of the sub-commands that are named."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

# Before numpy is loaded: one core is what is measured.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

from bench.accuracy import leave_one_out, online, split  # noqa: E402 - see above
from bench.figures import SHARED, Figure, Settings, pivot, targets  # noqa: E402
from bench.integers import integers  # noqa: E402
from bench.kernels import kernels  # noqa: E402
from bench.peers import peers  # noqa: E402
from bench.reader import cascade, evasions  # noqa: E402
from bench.serve import daemons, http  # noqa: E402
from bench.speed import throughput, training  # noqa: E402
from bench.stack import stack  # noqa: E402

# Times first, while the machine is cool and memory is free.
COMMANDS: dict[str, Callable[[Settings], Iterator[Figure]]] = {
    "throughput": throughput,
    "training": training,
    "cascade": cascade,
    "kernels": kernels,
    "integers": integers,
    "stack": stack,
    "http": http,
    "daemons": daemons,
    "peers": peers,
    "split": split,
    "evasions": evasions,
    "online": online,
    "leave-one-out": leave_one_out,
}


def main() -> int:
    """Measure, print a table for each sub-command, then one against the targets.

    Returns:
        0, missed targets or not: a miss is a finding. 2 when there was nothing to measure.
    """
    args = _parser().parse_args()
    settings = Settings(args.shared, args.quick)
    found: list[Figure] = []
    # With --json standard output holds nothing else.
    with contextlib.redirect_stdout(sys.stderr if args.json else sys.stdout):
        for name in args.commands or COMMANDS:
            own = list(COMMANDS[name](settings))
            found += own
            lacking = f"passed over: its mail is not in {settings.shared}, or an extra is missing"
            print(f"\n== {name}\n{pivot(own) if own else lacking}", flush=True)
        if found:
            print(f"\n== targets\n{targets(found)}")
    if args.json:
        print(json.dumps([figure.as_json() for figure in found], indent=1))
    return 0 if found else 2


def _command(word: str) -> str:
    if word not in COMMANDS:
        raise argparse.ArgumentTypeError(f"one of {', '.join(COMMANDS)} is wanted, not {word!r}")
    return word


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "commands", nargs="*", type=_command, metavar="COMMAND", help=", ".join(COMMANDS)
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the work; do not quote")
    parser.add_argument("--json", action="store_true", help="print a JSON list of figures")
    parser.add_argument("--shared", type=Path, default=SHARED, help="folder of the mail")
    return parser


if __name__ == "__main__":
    sys.exit(main())
