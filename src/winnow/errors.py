"""Every error that Winnow raises on purpose, in one tree.

    WinnowError                 never raised itself; `winnow` prints it and exits with status 2
    ├── InputError              the user's input: a path, a corpus, a message, an option
    ├── ArtifactError           a model folder that is missing, damaged, foreign, older or newer
    ├── ReaderError             the reader gave no answer for a message; the reflex's stands
    ├── DeviceError             hardware that was asked for: unknown, absent, or refuses the graph
    ├── RuleError               a rule file that cannot be read; knows its line and column
    ├── StoreError              the database: locked, full, damaged, from a newer version
    ├── LocalProtocolError      our own code drove a protocol wrongly (a bug of ours)
    └── RemoteProtocolError     the peer broke the protocol; carries the status to answer with

Any other exception that reaches a user is a bug. A message says what was wrong and what to do.
"""

from __future__ import annotations


class WinnowError(Exception):
    """Base of all. Its text is one or two sentences for the person at the keyboard."""


class InputError(WinnowError):
    """The input cannot be used; the text names it and says what would be accepted."""


class ArtifactError(WinnowError):
    """A model folder cannot be loaded; nothing of it has been used."""


class ReaderError(WinnowError):
    """The reader gave no answer for one message; the reflex's answer stands."""


class DeviceError(WinnowError):
    """The hardware that was asked for is not to be had; nothing else was taken in its place."""


class RuleError(WinnowError):
    """A rule file cannot be read.

    Attributes:
        origin: path of the file, or a word for it.
        line: 1-based line, 0 when the fault belongs to no line.
        column: 1-based column, 0 when the fault belongs to no column.
    """

    def __init__(self, reason: str, *, origin: str, line: int = 0, column: int = 0) -> None:
        place = f"{origin}:{line}:{column}" if line else origin
        super().__init__(f"{place}: {reason}")
        self.reason = reason
        self.origin = origin
        self.line = line
        self.column = column


class StoreError(WinnowError):
    """The database did not take or give the data; the caller decides whether that is fatal."""


class LocalProtocolError(WinnowError):
    """We used a protocol object against its state machine."""


class RemoteProtocolError(WinnowError):
    """The peer sent something the protocol does not allow.

    Attributes:
        status: the protocol's own status to answer with (an EX_ code, an HTTP status).
    """

    def __init__(self, reason: str, *, status: int) -> None:
        super().__init__(reason)
        self.status = status
