"""The machine that figures belong to: on another one they are others."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

_CPUINFO = Path("/proc/cpuinfo")
_MOST_BYTES = 1 << 20
# Instructions that decide how fast products of floats and of 8-bit integers are.
_TELLING = (
    "avx2", "fma", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8", "asimd", "asimddp", "i8mm",
)  # fmt: skip
_VNNI = frozenset({"avx_vnni", "avx512_vnni", "amx_int8", "asimddp", "i8mm"})
_PACKAGES = ("onnxruntime", "openvino", "torch", "numpy")


def machine(cpuinfo: Path = _CPUINFO) -> dict[str, Any]:
    """Processor, its telling instructions, how busy it is, and versions; JSON values only."""
    name, instructions = _processor(cpuinfo)
    return {
        "processor": name,
        "cores": os.cpu_count(),
        "instructions": instructions,
        "integer_products": bool(_VNNI & set(instructions)) if instructions else None,
        "busy": _busy(),
        "python": platform.python_version(),
        "versions": {name: version for name in _PACKAGES if (version := _version(name))},
    }


def in_words(found: dict[str, Any]) -> str:
    """One line of it for a person."""
    integers = {
        True: "with instructions for products of 8-bit integers",
        False: "without instructions for products of 8-bit integers (VNNI), so that these save "
        "bytes and hardly time",
        None: "whose instructions are not known",
    }[found["integer_products"]]
    return f"{found['processor']}, {integers}"


def _processor(cpuinfo: Path) -> tuple[str, list[str]]:
    try:
        with cpuinfo.open("rb") as file:
            text = file.read(_MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return platform.processor() or platform.machine() or "unknown", []
    entries: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        entries.setdefault(key.strip(), value.strip())
    flags = set((entries.get("flags") or entries.get("Features") or "").split())
    name = entries.get("model name") or platform.machine() or "unknown"
    return name, [one for one in _TELLING if one in flags]


def _busy() -> float | None:
    """Processes that ran or waited in the last minute, on average."""
    try:
        return round(os.getloadavg()[0], 2)
    except OSError:
        return None


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
