"""Evidence -> probability: the model's stages as they run, and the online step that moves them."""

from winnow.runtime.model import reflex_of, tensors_of
from winnow.runtime.reflex import EXPERTS, NO_STEP, Combiner, Reflex, Step, sigmoid

__all__ = ["EXPERTS", "NO_STEP", "Combiner", "Reflex", "Step", "reflex_of", "sigmoid", "tensors_of"]
