"""Winnow: calibrated spam probability for e-mail, learnt from labelled mail."""

__version__ = "0.1.0"
