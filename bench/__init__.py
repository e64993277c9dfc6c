"""Measurements of Winnow on labelled mail."""
