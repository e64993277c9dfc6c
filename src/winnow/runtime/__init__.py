"""Evidence -> probability: the model's stages as they run, and the online step that moves them."""

from winnow.runtime.reflex import EXPERTS, Combiner, Reflex, Step

__all__ = ["EXPERTS", "Combiner", "Reflex", "Step"]
