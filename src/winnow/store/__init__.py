"""One SQLite file: the log of verdicts and the log of corrections.

Corrections are what the weights owe to this owner, so they are written durably and at once, or the
caller hears of it. Verdicts are a convenience: they are queued, written in batches, and when the
disk is full or the database locked they are lost and counted, and mail goes on.
"""

from winnow.store.corrections import CorrectionLog
from winnow.store.rows import CorrectionRow, Kind, VerdictRow
from winnow.store.store import Store

__all__ = ["CorrectionLog", "CorrectionRow", "Kind", "Store", "VerdictRow"]
