"""Tests of the owner's rule."""
