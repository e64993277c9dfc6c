"""The reader's network in JAX, its first weights, and its graph."""
