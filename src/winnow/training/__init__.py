"""Labelled mail -> weights and calibration, and the figures that say how good they are."""
