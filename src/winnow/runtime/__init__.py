"""Evidence -> probability: the model's stages as they run, and the online step that moves them."""

from winnow.runtime.cascade import (
    EVERYTHING,
    NOT_CALIBRATED,
    OPENING_BELOW,
    STANDS_OUT,
    Cascade,
    Opening,
    stands_out,
)
from winnow.runtime.model import cascade_of, reflex_of, tensors_of
from winnow.runtime.reader import Reader
from winnow.runtime.reflex import (
    BITS,
    EXPERTS,
    NO_STEP,
    Combiner,
    Reflex,
    Scores,
    Step,
    places,
    sigmoid,
)

__all__ = [
    "BITS",
    "EVERYTHING",
    "EXPERTS",
    "NOT_CALIBRATED",
    "NO_STEP",
    "OPENING_BELOW",
    "STANDS_OUT",
    "Cascade",
    "Combiner",
    "Opening",
    "Reader",
    "Reflex",
    "Scores",
    "Step",
    "cascade_of",
    "places",
    "reflex_of",
    "sigmoid",
    "stands_out",
    "tensors_of",
]
