"""Labelled mail in any form -> a stream of examples."""

from winnow.corpus.dedup import Deduplicated, body_key, deduplicate
from winnow.corpus.example import Bounds, Corpus, Example
from winnow.corpus.reader import open_corpus

__all__ = [
    "Bounds",
    "Corpus",
    "Deduplicated",
    "Example",
    "body_key",
    "deduplicate",
    "open_corpus",
]
