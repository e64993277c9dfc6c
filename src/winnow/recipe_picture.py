"""A model's graph, or one before and after -> a picture: opened, compared, drawn, written."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import onnx_ir as ir

from winnow import recipe_compile
from winnow.compiler.picture.page import page_of
from winnow.compiler.picture.sheet import svg_of
from winnow.compiler.picture.story import Story, story_of
from winnow.compiler.picture.told import told
from winnow.errors import InputError

__all__ = ["story_of_file", "told", "write_picture"]

_DRAWN = {".svg": svg_of, ".html": page_of}


def story_of_file(
    model: Path,
    after: Path | None = None,
    *,
    fused: bool = False,
    launches: bool = False,
    every_layer: bool = False,
) -> tuple[Story, list[str]]:
    """Take in a model's graph and what became of it.

    Args:
        model: an artifact, of which the reader's graph is meant, or a bare ONNX file.
        after: what became of it, where that lies in a file.
        fused: compare it with what fusing makes of it now.
        launches: fuse for an accelerator.
        every_layer: draw layers that are alike again and again.

    Returns:
        what is to be told, and a sentence for each pass of fusing that was undone.

    Raises:
        InputError: a file is no usable graph, or too large to be drawn.
        ArtifactError: a folder is no whole model, or has no reader.
    """
    subject = recipe_compile.subject_of(model)
    other: ir.Model | None = None
    undone: list[str] = []
    if after is not None:
        other = recipe_compile.subject_of(after).graph
    elif fused:
        step = recipe_compile.fuse(subject, launches=launches)
        other = step.graph
        undone = [f"{r.name} was undone: {r.undone}." for r in step.reports if r.undone]
    return story_of(subject.name, subject.graph, other, every_layer=every_layer), undone


def write_picture(story: Story, out: Path) -> None:
    """Draw into a file, all of it or nothing; an older picture there is replaced.

    Raises:
        InputError: the name ends in neither .svg nor .html, or the file cannot be written.
    """
    draw = _DRAWN.get(out.suffix.lower())
    if draw is None:
        raise InputError(f"{out}: name a file that ends in .svg or .html.")
    if out.exists() and not out.is_file():
        raise InputError(f"{out} exists and is no file; name another.")
    fresh = out.with_name(f".{out.name}.{secrets.token_hex(4)}.new")
    try:
        with fresh.open("wb") as file:
            file.write(draw(story).encode())
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(out)
    except OSError as error:
        raise InputError(f"{out}: the picture cannot be written: {error.strerror}.") from error
    finally:
        fresh.unlink(missing_ok=True)
