"""The description of the HTTP door: `openapi.json` beside this file, and a page made from it.

The page is plain HTML without a script, and loads nothing: it works on a machine without network.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from html import escape
from importlib import resources
from typing import Any

from winnow import __version__

_STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8882;--word:#06c}
@media(prefers-color-scheme:dark){:root{--word:#8bf}}
body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}
code,pre{font:14px/1.45 ui-monospace,monospace}
pre{background:var(--soft);padding:.7rem;border-radius:6px;overflow-x:auto}
section{border-top:1px solid var(--line);margin-top:2rem;padding-top:.5rem}
h2 code{font-size:1.1rem}h2 b{color:var(--word);font-size:.9rem}h3{margin:1.2rem 0 .3rem}
table{border-collapse:collapse;width:100%}a{color:var(--word)}
td,th{border-bottom:1px solid var(--line);padding:.3rem .6rem .3rem 0;text-align:left;
vertical-align:top}
"""
PAGE_POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src "
    f"'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'"
)
"""Content-Security-Policy under which the page works: its own style and nothing else."""


@cache
def document() -> Mapping[str, Any]:
    """Return the OpenAPI document."""
    text = resources.files("winnow.serving").joinpath("openapi.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    found["info"]["version"] = __version__
    return found


@cache
def document_text() -> str:
    """Return the OpenAPI document as JSON."""
    return json.dumps(document(), ensure_ascii=False)


@cache
def page() -> str:
    """Return the description as an HTML page."""
    info = document()["info"]
    return "".join(
        (
            '<!doctype html><html lang="en"><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width">',
            f"<title>{escape(info['title'])} HTTP</title><style>{_STYLE}</style>",
            f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>",
            f"<p>{_prose(info['description'])} ",
            'For machines: <a href="/openapi.json">openapi.json</a>.</p>',
            *(_operation(*operation) for operation in operations()),
            "<section><h2>Objects</h2>",
            *(_schema(name, shape) for name, shape in document()["components"]["schemas"].items()),
            "</section></html>",
        )
    )


def operations() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield method, path and description of every operation."""
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    parts = [
        f'<section id="{escape(operation["operationId"])}">',
        f"<h2><b>{method}</b> <code>{escape(path)}</code></h2>",
        f"<p>{_prose(operation['summary'])} {_prose(operation.get('description', ''))}</p>",
    ]
    parameters = operation.get("parameters", ())
    if parameters:
        rows = [(p["name"], _type(p["schema"]), p.get("description", "")) for p in parameters]
        parts.append(f"<h3>In the address</h3>{_table(rows)}")
    for kind, form in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(f"<h3>Body as {escape(kind)}</h3>{_form(form)}")
    for status, answer in operation["responses"].items():
        if status == "200":
            kind, form = next(iter(answer["content"].items()))
            parts.append(f"<h3>Answer as {escape(kind)}</h3>")
            parts.append(f"<p>{_prose(answer['description'])}</p>{_form(form)}")
    errors = [
        (status, "", _resolved(answer)["description"])
        for status, answer in operation["responses"].items()
        if status != "200"
    ]
    parts.append(f"<h3>Otherwise</h3>{_table(errors)}</section>")
    return "".join(parts)


def _form(form: Mapping[str, Any]) -> str:
    shape = f"<p>{_type(form['schema'])}</p>"
    if "example" not in form:
        return shape
    example = form["example"]
    text = example if isinstance(example, str) else json.dumps(example, indent=1)
    return f"{shape}<pre>{escape(text)}</pre>"


def _schema(name: str, shape: Mapping[str, Any]) -> str:
    if "enum" in shape:
        body = f"<p>One of {_type(shape)}.</p>"
    else:
        needed = shape.get("required", ())
        rows = [
            (field, _type(of) + (" (always)" if field in needed else ""), of.get("description", ""))
            for field, of in shape["properties"].items()
        ]
        body = f"<p>{_prose(shape.get('description', ''))}</p>{_table(rows)}"
    return f'<h3 id="{escape(name)}">{escape(name)}</h3>{body}'


def _type(schema: Mapping[str, Any]) -> str:
    """Return HTML that names a schema."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if "enum" in schema:
        return ", ".join(f"<code>{escape(word)}</code>" for word in schema["enum"])
    if schema["type"] == "array":
        return f"list of {_type(schema['items'])}"
    return escape(schema["type"])


def _table(rows: list[tuple[str, str, str]]) -> str:
    """Return a table of names (text), types (HTML) and meanings (text)."""
    cells = (
        f"<tr><th><code>{escape(name)}</code><td>{kind}<td>{_prose(meaning)}"
        for name, kind, meaning in rows
    )
    return f"<table>{''.join(cells)}</table>"


def _prose(text: str) -> str:
    """Return HTML for text in which words between backquotes are code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))


def _resolved(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in answer:
        return answer
    found: Mapping[str, Any] = document()["components"]["responses"][
        answer["$ref"].rpartition("/")[2]
    ]
    return found
