"""Measures what the documentation claims: `python -m bench` (docs/reference/benchmarks.md)."""
