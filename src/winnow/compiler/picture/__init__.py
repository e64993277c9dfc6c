"""A graph, or one before and after, as a picture: nodes by layer, and what became of what.

ir.Model -> Sketch (nodes) -> its layers (layers) -> what changed (changes)
-> places (layout, boxes) -> an SVG file (sheet) or an HTML page (page)
"""
