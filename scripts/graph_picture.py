"""Draw the picture of docs/how-to/see-the-graph.md: one layer of our exporter, before and after.

python scripts/graph_picture.py docs/how-to/one-layer.svg
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from winnow import recipe_compile
from winnow.compiler.picture.sheet import svg_of
from winnow.compiler.picture.story import story_of
from winnow.model.export import export
from winnow.model.network import Shape, shapes_of
from winnow.recipe_compile import Subject

# Of the sizes of the reader that ships, but with one layer; the weights' values are not drawn.
SHAPE = Shape(pieces=6000, fields=5, positions=128, layers=1, width=384, heads=12, inner=1536)


def picture() -> str:
    """The picture as it should be."""
    random = np.random.default_rng(0)
    weights = {
        name: (random.normal(0, 0.02, size) + name.endswith("scale")).astype(np.float32)
        for name, size in shapes_of(SHAPE).items()
    }
    subject = Subject(Path("one layer"), export(weights, SHAPE), None)
    fused = recipe_compile.fuse(subject, launches=False).graph
    return svg_of(story_of(subject.name, subject.graph, fused))


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(picture(), "utf-8")
