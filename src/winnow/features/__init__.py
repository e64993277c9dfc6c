"""Message -> Evidence: the one implementation of features, for training and for serving."""

from winnow.features.content import Reading, read_content
from winnow.features.fingerprint import fingerprint
from winnow.features.hashing import CONTENT_BUCKETS, STREAM_BUCKETS
from winnow.features.reasons import explain_answer
from winnow.features.stream import stream_buckets

__all__ = [
    "CONTENT_BUCKETS",
    "STREAM_BUCKETS",
    "Reading",
    "explain_answer",
    "fingerprint",
    "read_content",
    "stream_buckets",
]
