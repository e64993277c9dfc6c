"""Raw bytes -> Message. Pure, bounded, and silent: any bytes give a message, never an exception."""

from winnow.mail.identity import identity
from winnow.mail.limits import Limits
from winnow.mail.parse import parse

__all__ = ["Limits", "identity", "parse"]
