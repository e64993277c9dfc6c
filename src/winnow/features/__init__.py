"""Message -> Evidence: the one implementation of features, for training and for serving."""

from winnow.features.content import Reading, read_content
from winnow.features.reasons import explain_answer
from winnow.features.stream import STREAM_HEAD, stream_hashes, without_word

__all__ = [
    "STREAM_HEAD",
    "Reading",
    "explain_answer",
    "read_content",
    "stream_hashes",
    "without_word",
]
