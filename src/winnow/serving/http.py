"""The HTTP door: JSON and raw messages in, verdicts out, with its own documentation."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from winnow import __version__
from winnow.errors import StoreError
from winnow.serving import openapi
from winnow.serving.answers import CODES, Refusal, error_answer
from winnow.serving.board import Board
from winnow.serving.engine import Engine, OverloadedError
from winnow.serving.guard import Guard
from winnow.serving.health import read_health
from winnow.serving.metrics import exposition
from winnow.serving.questions import read_check, read_learn
from winnow.store import VerdictRow

_RETRY = {"Retry-After": "1"}
_MOST_VERDICTS = 100
_as_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_NO_SNIFFING = {"X-Content-Type-Options": "nosniff"}


def logged_json(row: VerdictRow) -> dict[str, Any]:
    """Return the documented JSON object for a logged verdict."""
    return {
        "id": row.message_id,
        "identity": row.identity,
        "at": datetime.fromtimestamp(row.at, UTC).isoformat(timespec="milliseconds"),
        "door": row.door,
        "probability": round(row.probability, 6),
        "action": str(row.action),
        "rule": row.rule,
        "stage": row.stage,
        "reasons": [
            {"kind": reason.kind, "text": reason.text, "share": round(reason.share, 4)}
            for reason in row.reasons
        ],
        "ms": round(row.milliseconds, 3),
        "model": row.model,
        "size_bytes": row.size_bytes,
        "sender": row.sender,
        "subject": row.subject,
    }


class HttpDoor:
    """The handlers, sharing one engine and one board.

    Attributes:
        stopping: set when the worker stops; health says so from then on.
    """

    def __init__(self, engine: Engine, board: Board) -> None:
        self.stopping = False
        self.door = engine.door("http")
        self._engine = engine
        self._board = board

    async def check(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`POST /v1/check`: a verdict."""
        question = await read_check(Request(scope, receive), self.door.limits)
        verdict = await self.door.check(
            question.head,
            question.envelope,
            size_bytes=question.size_bytes,
            explain=question.explain,
        )
        body = _as_json(verdict.to_json()).encode("utf-8")
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def learn(self, request: Request) -> Response:
        """`POST /v1/learn`: a correction."""
        question, label = await read_learn(request, self.door.limits)
        if label is None:
            result = await self.door.forget(question.head, source="http")
        else:
            result = await self.door.learn(question.head, label, source="http")
        return JSONResponse({"result": result.name.lower(), "text": str(result)})

    async def verdicts(self, request: Request) -> Response:
        """`GET /v1/verdicts/{message_id}`: what was answered for a message."""
        found = await self._engine.find(request.path_params["message_id"])
        if not found:
            raise Refusal(404, "no verdict for this message id is in the log")
        return JSONResponse({"verdicts": [logged_json(row) for row in found[:_MOST_VERDICTS]]})

    async def health(self, request: Request) -> Response:
        """`GET /v1/health`: state of the whole server."""
        health = read_health(
            self._board,
            model=self._engine.model,
            device=self._engine.device,
            rules=self._engine.rules,
            version=__version__,
            log_error=self._engine.log_error,
            stopping=self.stopping,
            now_seconds=time.monotonic(),
        )
        return JSONResponse(health.body, 503 if self.stopping else 200)

    async def metrics(self, request: Request) -> Response:
        """`GET /metrics`: for Prometheus."""
        text, content_type = exposition(
            self._board,
            model=self._engine.model,
            version=__version__,
            accept=request.headers.get("accept", ""),
        )
        return Response(text, headers={"Content-Type": content_type})

    async def openapi(self, request: Request) -> Response:
        """`GET /openapi.json`: the description for machines."""
        return Response(openapi.document_text(), media_type="application/json")

    async def docs(self, request: Request) -> Response:
        """`GET /docs`: the description for people."""
        headers = {"Content-Security-Policy": openapi.PAGE_POLICY, **_NO_SNIFFING}
        return Response(openapi.page(), media_type="text/html", headers=headers)

    async def root(self, request: Request) -> Response:
        """`GET /`: go to the documentation."""
        return RedirectResponse("/docs")

    async def refused(self, request: Request, error: Exception) -> Response:
        """Answer a request that is refused."""
        assert isinstance(error, Refusal)
        self.door.failed(CODES[error.status][1])
        return error_answer(error.status, error.message)

    async def unroutable(self, request: Request, error: Exception) -> Response:
        """Answer for a page or method that does not exist."""
        assert isinstance(error, HTTPException)
        self.door.failed(CODES[error.status_code][1] if error.status_code in CODES else "malformed")
        message = f"{error.detail}; see /docs"
        return error_answer(error.status_code, message, error.headers)

    async def too_late(self, request: Request, error: Exception) -> Response:
        """Answer when there is no answer before the deadline; the engine has counted it."""
        if isinstance(error, OverloadedError):
            return error_answer(503, str(error), _RETRY)
        seconds = self.door.limits.deadline_seconds
        return error_answer(504, f"no answer within {seconds:g} s")

    async def not_stored(self, request: Request, error: Exception) -> Response:
        """Answer when the database does not take or give; the engine has counted corrections."""
        return error_answer(503, str(error), _RETRY if self._engine.has_store else None)

    async def gone(self, request: Request, error: Exception) -> Response:
        """Count a client that left before it had sent its request; nobody reads the answer."""
        self.door.failed("malformed")
        return error_answer(400, "the body is not whole")

    async def broken(self, request: Request, error: Exception) -> Response:
        """Answer for a bug of ours; the traceback is in the log."""
        self.door.failed("internal")
        return error_answer(500, "an error of the server's own; its log says more")


class CheckPage:
    """`HttpDoor.check` as an application of its own, which Starlette wraps least."""

    def __init__(self, http: HttpDoor) -> None:
        self._http = http

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        await self._http.check(scope, receive, send)


def application(http: HttpDoor, *, names: frozenset[str]) -> ASGIApp:
    """Return the ASGI application.

    Args:
        http: the handlers.
        names: names that the Host header of a request may carry, beside those of loopback.
    """
    app = Starlette(
        routes=[
            Route("/v1/check", CheckPage(http), methods=["POST"]),
            Route("/", http.root),
            Route("/v1/learn", http.learn, methods=["POST"]),
            Route("/v1/verdicts/{message_id:path}", http.verdicts),
            Route("/v1/health", http.health),
            Route("/metrics", http.metrics),
            Route("/openapi.json", http.openapi),
            Route("/docs", http.docs),
        ],
        exception_handlers={
            Refusal: http.refused,
            HTTPException: http.unroutable,
            TimeoutError: http.too_late,
            StoreError: http.not_stored,
            ClientDisconnect: http.gone,
            Exception: http.broken,
        },
    )
    app.router.redirect_slashes = False
    return Guard(app, door=http.door, names=names)
