"""Graph -> a cheaper graph that answers the same, within a stated tolerance."""
