"""Devices for tests: stand-ins for hardware that this machine lacks, and the real ones it may have.

A stand-in runs a graph on the processor, under another name; what chooses among devices is real.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from winnow.runtime.devices import CPU, DEVICES, Device, device_of, way_to
from winnow.runtime.providers import CPU_PROVIDER, BuiltIn, Loaded


@dataclass(frozen=True, slots=True)
class Stand:
    """A way that is here, or is missing, or is here and takes no graph, or answers otherwise."""

    gone: str = ""
    refuses: str = ""
    times: float = 1.0

    @property
    def label(self) -> str:
        """For the table."""
        return f"stand-in {self.times}"

    def missing(self) -> str:
        """As the test wants it."""
        return self.gone

    def open(self, graph: bytes, *, profile: str = "") -> Loaded:
        """Load on the processor."""
        assert not self.gone, "a way that is missing must not be opened"
        if self.refuses:
            raise RuntimeError(self.refuses)
        loaded = BuiltIn(CPU_PROVIDER).open(graph, profile=profile)
        if self.times == 1.0:
            return loaded
        return replace(
            loaded, run=lambda names, feeds: [self.times * v for v in loaded.run(names, feeds)]
        )


def stand(name: str, *ways: Stand) -> Device:
    """A device with such ways."""
    return Device(name, f"{name.title()}ExecutionProvider", f"the {name} driver", ways)


PROCESSOR = device_of(CPU)


def absent_device() -> str:
    """Name of a device that this machine lacks; hardly any machine has all of them."""
    for device in DEVICES:
        if way_to(device)[0] is None:
            return device.name
    pytest.skip("this machine has every device that there is")


def require(name: str) -> None:
    """Skip, with a word, where a device is not here."""
    way, reasons = way_to(device_of(name))
    if way is None:
        pytest.skip(f"{name}: {reasons}")
