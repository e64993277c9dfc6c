"""The HTTP door, asked over a real socket in a real worker process."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serving.fakes import HAM, SPAM, Running, running, wait_until
from winnow.serving import openapi

LIMITS = {
    "inline_bytes": 10_000,
    "scan_bytes": 100_000,
    "message_bytes": 2_000_000,
    "json_bytes": 50_000,
    "deadline_seconds": 20.0,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("http"), limits=LIMITS) as started:
        yield started


def post(server: Running, path: str, body: Any, **options: Any) -> httpx.Response:
    kind = "content" if isinstance(body, (bytes, str)) else "json"
    return server.client.post(path, **{kind: body}, **options)


def code(answer: httpx.Response) -> tuple[int, str]:
    """Return status and code of an error, which must have the documented form."""
    error = answer.json()["error"]
    assert set(error) == {"code", "message"}
    assert answer.headers["content-type"] == "application/json"
    return answer.status_code, error["code"]


@pytest.mark.parametrize(
    "kind", [None, "message/rfc822", "text/plain; charset=x", "application/x-www-form-urlencoded"]
)
def test_check_raw(server: Running, kind: str | None):
    """Protects the simplest use: bytes in, verdict out, whatever curl calls the bytes."""
    headers = {"Content-Type": kind} if kind else {}
    answer = post(server, "/v1/check", SPAM, headers=headers)
    assert answer.status_code == 200
    assert answer.json()["action"] == "junk"
    assert answer.json()["id"] == "spam@example.org"


def test_check_raw_with_envelope(server: Running):
    """Protects large messages: they come raw, and the envelope comes in the address."""
    asked = "/v1/check?sender=a%40b&recipient=c@d&recipient=e@f&client_address=1.2.3.4"
    assert post(server, asked, HAM).json()["reasons"][1]["text"] == "a@b"
    assert post(server, "/v1/check?explain=false", HAM).json()["reasons"] == []


@pytest.mark.parametrize(
    "form",
    [
        {"message": SPAM.decode()},
        {"message_base64": base64.b64encode(SPAM).decode()},
        {"message_base64": base64.encodebytes(SPAM).decode()},
    ],
)
def test_check_json(server: Running, form: dict[str, str]):
    """Protects the JSON form: same bytes, same verdict as raw."""
    envelope = {"sender": "x@y", "recipients": ["z@w"], "client_address": "::1"}
    answer = post(server, "/v1/check", {**form, "envelope": envelope, "explain": True})
    assert answer.json()["action"] == "junk"
    assert answer.json()["id"] == "spam@example.org"
    assert answer.json()["reasons"][1]["text"] == "x@y"


@pytest.mark.parametrize("text", ["", "\0", "\ud800 lone", "raw \udcff byte", "ü"])
def test_any_text_is_a_message(server: Running, text: str):
    """Protects from strings that cannot be encoded: a message is any bytes."""
    assert post(server, "/v1/check", json.dumps({"message": text}), headers=JSON).status_code == 200


JSON = {"Content-Type": "application/json; charset=utf-8"}


@pytest.mark.parametrize(
    ("body", "expected", "word"),
    [
        ("{", (400, "bad_request"), "JSON"),
        (b'"\xff"', (400, "bad_request"), "JSON"),
        ("[" * 30_000, (400, "bad_request"), "JSON"),
        ("[]", (422, "invalid_field"), "object"),
        ("{}", (422, "invalid_field"), "either"),
        ('{"message": "a", "message_base64": "YQ=="}', (422, "invalid_field"), "either"),
        ('{"message": 1}', (422, "invalid_field"), "string"),
        ('{"message_base64": "*"}', (422, "invalid_field"), "base64"),
        ('{"message_base64": "ü"}', (422, "invalid_field"), "base64"),
        ('{"message": "", "mesage": ""}', (422, "invalid_field"), "mesage"),
        ('{"message": "", "explain": "no"}', (422, "invalid_field"), "explain"),
        ('{"message": "", "envelope": []}', (422, "invalid_field"), "envelope"),
        ('{"message": "", "envelope": {"from": ""}}', (422, "invalid_field"), "envelope"),
        ('{"message": "", "envelope": {"sender": 1}}', (422, "invalid_field"), "sender"),
        ('{"message": "", "envelope": {"recipients": "a"}}', (422, "invalid_field"), "recipients"),
        (" " * 60_000, (413, "too_large"), "50000"),
    ],
)
def test_unusable_json(server: Running, body: str | bytes, expected: tuple[int, str], word: str):
    """Protects clients from guessing: the answer says which field is wrong, and never is 500."""
    answer = post(server, "/v1/check", body, headers=JSON)
    assert code(answer) == expected
    assert word in answer.json()["error"]["message"]


def test_learn_and_forget(server: Running):
    """Protects corrections in both forms; the next verdict knows of them."""
    raw = HAM + b"learn me"
    assert post(server, "/v1/learn?label=spam", raw).json()["result"] == "learnt"
    assert server.check(raw).json()["action"] == "junk"
    form = {"message": raw.decode(), "label": "spam"}
    assert post(server, "/v1/learn", form).json()["result"] == "already"
    assert post(server, "/v1/learn", {**form, "label": "ham"}).json()["result"] == "relabelled"
    assert server.check(raw).json()["action"] == "deliver"
    assert post(server, "/v1/learn", {**form, "label": "forget"}).json()["result"] == "forgotten"
    assert post(server, "/v1/learn?label=forget", raw).json()["result"] == "unknown"


@pytest.mark.parametrize("asked", ["/v1/learn", "/v1/learn?label=maybe"])
def test_learn_needs_a_label(server: Running, asked: str):
    """Protects the weights: without a clear label nothing is learnt."""
    assert code(post(server, asked, HAM)) == (422, "invalid_field")
    assert code(post(server, "/v1/learn", {"message": "x"})) == (422, "invalid_field")
    assert code(post(server, "/v1/learn", {"message": "x", "label": [1]})) == (422, "invalid_field")


def test_learn_with_a_locked_database(server: Running):
    """Protects corrections: one that was not taken is told so, and when to try again."""
    answer = post(server, "/v1/learn?label=spam", b"LOCKED")
    assert code(answer) == (503, "unavailable")
    assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize("message_id", ["a/b+c%d@x", "plain@example.org", "?q#f@x"])
def test_look_up(server: Running, message_id: str):
    """Protects the look-up of ids with any characters, in angle brackets or without."""
    server.check(b"Message-ID: <" + message_id.encode() + b">\r\n\r\nCHEAP")
    quoted = "".join(f"%{byte:02X}" for byte in message_id.encode())
    for form in (quoted, f"%3C{quoted}%3E"):
        found = server.get(f"/v1/verdicts/{form}")
        assert found.status_code == 200
        newest = found.json()["verdicts"][0]
        assert newest["id"] == message_id
        assert newest["action"] == "junk"
        assert newest["door"] == "http"
        _satisfies(found.json(), {"$ref": "#/components/schemas/LoggedVerdicts"})


def test_look_up_of_nothing(server: Running):
    """Protects clients: not in the log is 404, also for an empty id."""
    assert code(server.get("/v1/verdicts/nobody@example.org")) == (404, "not_found")
    assert code(server.get("/v1/verdicts/")) == (404, "not_found")


def test_large_messages_are_answered(server: Running):
    """Protects memory and answers: the head is looked at, the size is the whole message's."""
    raw = SPAM + b"x" * 1_900_000
    answer = post(server, "/v1/check", raw)
    assert answer.json()["action"] == "junk"
    assert f"bytes={len(raw)} " in server.log
    late = b"\r\n" + b"x" * 150_000 + b"CHEAP"
    assert post(server, "/v1/check", late).json()["action"] == "deliver"


@pytest.mark.parametrize("chunked", [True, False])
def test_too_large(server: Running, chunked: bool):
    """Protects from endless bodies, whether or not their size is declared."""
    piece = b"x" * 100_000
    body: Any = (piece for _ in range(25)) if chunked else piece * 25
    assert code(server.client.post("/v1/check", content=body)) == (413, "too_large")


def test_wrapped_bodies_are_refused(server: Running):
    """Protects verdicts: a form or a compressed body would be judged as if it were the mail."""
    files = {"file": ("m.eml", SPAM)}
    answer = server.client.post("/v1/check", files=files)
    assert code(answer) == (415, "unsupported_form")
    answer = post(server, "/v1/check", SPAM, headers={"Content-Encoding": "gzip"})
    assert code(answer) == (415, "unsupported_form")


def test_deadline_and_overload(tmp_path: Path):
    """Protects mail servers: too slow is 504, too much at once is 503 with a time to retry."""
    slow = b"SLEEP 20000 " + b"x" * 20_000
    limits = LIMITS | {"deadline_seconds": 0.3, "waiting": 2}
    with running(tmp_path, limits=limits) as server, ThreadPoolExecutor(6) as clients:
        assert code(post(server, "/v1/check", slow)) == (504, "deadline")
        answers: list[httpx.Response] = []
        # They are at once only where no pause of the machine comes between them: see that once.
        for _ in range(10):
            answers += clients.map(lambda _: post(server, "/v1/check", slow), range(6))
            refused = [answer for answer in answers if answer.status_code == 503]
            if refused:
                break
        assert refused
        assert code(refused[0]) == (503, "unavailable")
        assert refused[0].headers["retry-after"] == "1"
        assert {answer.status_code for answer in answers} == {503, 504}


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/nothing", (404, "not_found")),
        ("POST", "/v1/check/", (404, "not_found")),
        ("GET", "/v1/check", (405, "method_not_allowed")),
        ("PUT", "/v1/check", (405, "method_not_allowed")),
        ("POST", "/metrics", (405, "method_not_allowed")),
        ("POST", "/v1/check?explain=perhaps", (422, "invalid_field")),
    ],
)
def test_wrong_requests(server: Running, method: str, path: str, expected: tuple[int, str]):
    """Protects clients that mistype: every error has the one documented form."""
    assert code(server.client.request(method, path)) == expected


def test_health_and_root(server: Running):
    """Protects probes and people: health is 200 while it answers, / leads to the pages."""
    health = server.get("/v1/health")
    assert health.status_code == 200
    assert health.json()["status"] == "ok"
    assert [worker["model"] for worker in health.json()["workers"]] == ["first@11111111"]
    root = server.get("/")
    assert root.status_code == 307
    assert root.headers["location"] == "/docs"


def test_lost_rows_show(tmp_path_factory: pytest.TempPathFactory):
    """Protects the owner: log rows that are lost show in health and in the metrics."""
    with running(tmp_path_factory.mktemp("lost")) as server:
        server.check(b"Message-ID: <lose@x>\r\n\r\n")
        wait_until(lambda: server.health()["lost_log_rows"] == 1)
        assert server.health()["status"] == "degraded"
        assert server.health()["log_error"] == "the disk is full"
        assert server.get("/v1/health").status_code == 200
        assert "winnow_store_lost_rows_total 1.0" in server.get("/metrics").text


def test_the_page_is_sealed(server: Running):
    """Protects readers of /docs: the browser is told to run and load nothing."""
    page = server.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert page.headers["x-content-type-options"] == "nosniff"


def test_a_foreign_page_cannot_ask(server: Running):
    """Protects the weights from web pages in a browser on this machine."""
    for origin in ("https://evil.example", "null", "http://localhost:1"):
        answer = post(server, "/v1/learn?label=ham", SPAM, headers={"Origin": origin})
        assert code(answer) == (403, "foreign_origin")
    assert code(server.get("/v1/health", headers={"Host": "evil.example"}))[0] == 421
    assert post(server, "/v1/check", SPAM, headers={"Origin": server.url}).status_code == 200


def test_every_route_is_documented(server: Running):
    """Protects the document: what it lists exists, with that method and no other."""
    for method, path, _ in openapi.operations():
        shown = path.replace("{message_id}", "x@y")
        other = "POST" if method == "GET" else "GET"
        assert server.client.request(other, shown).status_code == 405
        assert server.client.request(method, shown).status_code != 405
    assert server.get("/openapi.json").json() == openapi.document()


def test_answers_have_the_documented_shape(server: Running):
    """Protects clients made from the document: real answers satisfy it."""
    _satisfies(server.check(SPAM).json(), {"$ref": "#/components/schemas/Verdict"})
    _satisfies(server.health(), {"$ref": "#/components/schemas/Health"})
    learnt = post(server, "/v1/learn?label=spam", b"shape").json()
    _satisfies(learnt, {"$ref": "#/components/schemas/Learnt"})
    _satisfies(server.get("/nothing").json(), {"$ref": "#/components/schemas/Error"})


def test_documented_examples_work(server: Running):
    """Protects readers who paste an example."""
    for method, path, operation in openapi.operations():
        for kind, form in operation.get("requestBody", {}).get("content", {}).items():
            body = form["example"]
            asked = f"{path}{'?label=ham' if path.endswith('learn') else ''}"
            content = body if isinstance(body, str) else json.dumps(body)
            headers = {"Content-Type": kind}
            answer = server.client.request(method, asked, content=content, headers=headers)
            assert answer.status_code == 200, answer.text


def test_errors_are_counted(server: Running):
    """Protects alerting: each refusal moves one counter."""

    def read() -> float:
        text = server.get("/metrics").text
        found = re.search(r'winnow_errors_total\{door="http",kind="not_found"\} (\S+)', text)
        assert found is not None
        return float(found[1])

    before = read()
    server.get("/nothing")
    assert read() == before + 1


def _satisfies(value: Any, schema: dict[str, Any]) -> None:
    """Check a value against the part of JSON Schema that the document uses."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        schema = openapi.document()["components"]["schemas"][name]
    kinds = {"string": str, "number": (int, float), "integer": int, "boolean": bool}
    if schema["type"] == "object":
        assert set(schema.get("required", ())) <= set(value)
        assert set(value) <= set(schema["properties"])
        for field, inner in value.items():
            _satisfies(inner, schema["properties"][field])
    elif schema["type"] == "array":
        for inner in value:
            _satisfies(inner, schema["items"])
    else:
        assert isinstance(value, kinds[schema["type"]])
        assert value in schema.get("enum", (value,))
        assert schema.get("minimum", value) <= value <= schema.get("maximum", value)
