"""One rule a file: what it matches, why it may not apply, what it makes of it."""
