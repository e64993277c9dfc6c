"""Message -> Evidence: the one implementation of features, for training and for serving."""

from winnow.features.content import Named, Reading, read_content
from winnow.features.foreign import ForeignTokenizer, Given
from winnow.features.pieces import plain
from winnow.features.reasons import explain_answer
from winnow.features.stream import STREAM_HEAD, stream_hashes, without_word
from winnow.features.tokens import Tokenizer

# What a reader is given its messages by.
AnyTokenizer = Tokenizer | ForeignTokenizer

__all__ = [
    "STREAM_HEAD",
    "AnyTokenizer",
    "ForeignTokenizer",
    "Given",
    "Named",
    "Reading",
    "Tokenizer",
    "explain_answer",
    "plain",
    "read_content",
    "stream_hashes",
    "without_word",
]
