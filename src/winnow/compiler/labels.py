"""What a classifier's classes are called -> which of them is spam."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from winnow.errors import InputError

_SPAM = frozenset({"spam", "phishing", "phish", "scam", "junk", "fraud", "malicious", "smishing"})
_HAM = frozenset({"ham", "legitimate", "legit", "safe", "benign", "normal", "clean", "genuine"})
_NEGATED = re.compile(r"(?:not|non|no) ?(.+)")
_NUMBERED = re.compile(r"(?:label|class)?\s?\d+")


def spam_class(wished: int | None, classes: int, labels: Sequence[str]) -> int:
    """Which class is spam; of a single number, 1 where it speaks for spam and 0 against it.

    Args:
        wished: by the user, None where nothing was said.
        classes: how many there are.
        labels: their names, none where nobody says.

    Raises:
        InputError: nobody can tell, or there is no such class.
    """
    most = max(2, classes)
    known = "; ".join(f"{number} is {name!r}" for number, name in enumerate(labels[:20]))
    told = f" ({known})" if known else ""
    if wished is not None:
        if not 0 <= wished < most:
            raise InputError(f"--spam-label {wished}: there are 0 to {most - 1}{told}.")
        return wished
    if classes > 2:
        raise InputError(
            f"it tells {classes} classes apart{told}; say which of them is spam, against the "
            "rest, with --spam-label N."
        )
    speaks = [_speaks(name) for name in labels[:classes]]
    if not any(speaks) and all(_NUMBERED.fullmatch(_plain(name)) for name in labels[:classes]):
        return 1
    if classes == 1:
        found = {1: 1, -1: 0}.get(speaks[0])
    else:
        found = _the_one(speaks, 1) if 1 in speaks else _other(_the_one(speaks, -1))
    if found is None:
        raise InputError(f"none of its labels is spam{told}; say which with --spam-label N.")
    return found


def config_of(data: bytes, name: str) -> tuple[tuple[str, ...], int | None]:
    """Labels of the classes and the most tokens, as the config.json of Hugging Face has them.

    Args:
        data: the file.
        name: of it, for errors.

    Returns:
        () and None for what is not said.

    Raises:
        InputError: it cannot be read.
    """
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name} is damaged (no JSON); copy it again or remove it.") from error
    if not isinstance(value, dict):
        raise InputError(f"{name} is of something else; remove it.")
    named, longest = value.get("id2label"), value.get("max_position_embeddings")
    labels: tuple[str, ...] = ()
    if isinstance(named, dict) and set(named) == {str(n) for n in range(len(named))}:
        labels = tuple(str(named[str(n)])[:100] for n in range(len(named)))
    return labels, longest if type(longest) is int and longest > 0 else None


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name).strip().lower()


def _speaks(name: str) -> int:
    """1 for a name of spam, -1 for one of ham, else 0."""
    plain = _plain(name)
    if plain in _SPAM or plain in _HAM:
        return 1 if plain in _SPAM else -1
    negated = _NEGATED.fullmatch(plain)
    return -_speaks(negated[1]) if negated is not None else 0


def _the_one(speaks: Sequence[int], wanted: int) -> int | None:
    return list(speaks).index(wanted) if list(speaks).count(wanted) == 1 else None


def _other(number: int | None) -> int | None:
    return None if number is None else 1 - number
