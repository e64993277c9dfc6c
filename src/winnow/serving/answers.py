"""What HTTP clients get when there is no answer: one JSON form for every error."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import JSONResponse

# Status -> (code in the answer, kind in the metrics).
CODES: Mapping[int, tuple[str, str]] = {
    400: ("bad_request", "malformed"),
    403: ("foreign_origin", "refused"),
    404: ("not_found", "not_found"),
    405: ("method_not_allowed", "not_found"),
    408: ("slow_request", "slow"),
    413: ("too_large", "too_large"),
    415: ("unsupported_form", "malformed"),
    421: ("foreign_host", "refused"),
    422: ("invalid_field", "malformed"),
    431: ("headers_too_large", "too_large"),
    500: ("internal", "internal"),
    503: ("unavailable", "busy"),
    504: ("deadline", "deadline"),
}


class Refusal(Exception):  # noqa: N818 - what we answer, not what went wrong with us
    """A request that gets an error as its answer.

    Attributes:
        status: HTTP status, a key of `CODES`.
        message: sentence for the person at the client.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def error_answer(
    status: int, message: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return the documented error object."""
    code = CODES.get(status, (f"status_{status}", ""))[0]
    body = {"error": {"code": code, "message": message}}
    return JSONResponse(body, status, headers=dict(headers or {}))
