"""`python -m tests.serving.fake_server FOLDER SETTINGS`: the real server around a fake filter."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

from tests.serving.fakes import FakeFilter
from winnow.errors import WinnowError
from winnow.serving import logs
from winnow.serving.server import serve
from winnow.serving.settings import Limits, Settings


def main() -> None:
    folder = Path(sys.argv[1])
    given = json.loads(sys.argv[2])
    logs.configure("info")
    settings = Settings(
        port=given.pop("port", 0),
        spamd_port=0 if given.pop("spamd", True) else None,
        ready_file=folder / "ready.json",
        watch=folder / "model" if given.pop("watch", True) else None,
        limits=Limits(**given.pop("limits", {})),
        allowed_hosts=tuple(given.pop("allowed_hosts", ())),
        **given,
    )
    try:
        serve(settings, partial(FakeFilter, folder), announce=lambda ready: None)
    except WinnowError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
