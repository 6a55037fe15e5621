"""A real HTTP server on loopback that does what it is told, and a client with its ledger to set against it.

An act is what the server does with one request; it is given a list of acts and repeats the last. The client's sleep
takes no time, its ledger checks after every entry that nothing passes the budget, and its events are kept.
"""

from __future__ import annotations

import gzip
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from teacher.client import Client
from teacher.ledger import Budget, Ledger
from teacher.openai_backend import OpenAIBackend
from teacher.requests import Failed, Message, Reply, Request

KEY = "sk-very-secret"
Act = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Answers with the server's next act; the last one is repeated."""

    protocol_version = "HTTP/1.1"
    server: Any
    body: Any

    def do_POST(self) -> None:
        server = self.server
        self.body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with server.lock:
            server.seen.append((dict(self.headers), self.body))
            act = server.acts.pop(0) if len(server.acts) > 1 else server.acts[0]
        act(self)

    def asked(self) -> str:
        """The question: the last message."""
        return self.body["messages"][-1]["content"]

    def send(self, status: int, body: bytes, kind: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in {"content-type": kind, "content-length": str(len(body)), **more}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up on a slow act is what some tests are about."""


@contextmanager
def serving(*acts: Act, port: int = 0) -> Iterator[Any]:
    server: Any = Server(("127.0.0.1", port), Handler)
    server.acts, server.seen, server.lock, server.over = list(acts), [], threading.Lock(), threading.Event()
    server.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


# --- acts


def completion(text: Any = "yes", reason: str = "stop", **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": reason, "message": {"role": "assistant", "content": text} | more}
    return {"choices": [choice], "usage": {"prompt_tokens": 11, "completion_tokens": 2}}


def page(value: Any, status: int = 200, **headers: str) -> Act:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return lambda handler: handler.send(status, body, **headers)


def status(code: int, error: Any = None, **headers: str) -> Act:
    return page({"error": error or {"message": f"no, says {code}"}}, code, **headers)


def html(handler: Handler) -> None:
    handler.send(200, b"<html>Please log in</html>", "text/html")


def cut_short(handler: Handler) -> None:
    body = json.dumps(completion()).encode()
    handler.send(200, body[:20], content_length=str(len(body)))
    handler.close_connection = True


def reset(handler: Handler) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True
    handler.connection.close()


def hang(handler: Handler) -> None:
    handler.server.over.wait(20)
    handler.close_connection = True


def drip(handler: Handler) -> None:
    """A byte of a header now and then: each restarts the SDK's timeout."""
    while not handler.server.over.wait(0.05):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nx-wait: "[:1])
        handler.wfile.flush()


def drip_body(handler: Handler) -> None:
    """The same within the body."""
    handler.send(200, b'{"choices": [', content_length="100000")
    while not handler.server.over.wait(0.05):
        handler.wfile.write(b" ")
        handler.wfile.flush()


def huge(handler: Handler) -> None:
    """Fifty megabytes, if anyone reads them, and a good reply at their end."""
    body = json.dumps(completion()).encode()
    handler.send(200, b"", content_length=str(50 * 2**20 + len(body)))
    for _ in range(50):
        handler.wfile.write(b" " * 2**20)
    handler.wfile.write(body)


def bomb(handler: Handler) -> None:
    """The same, in fifty kilobytes."""
    body = b" " * 50 * 2**20 + json.dumps(completion()).encode()
    handler.send(200, gzip.compress(body, 1), content_encoding="gzip")


def hang_up_after(act: Act) -> Act:
    """Closes the connection after a good reply without having said so."""

    def quietly(handler: Handler) -> None:
        act(handler)
        handler.close_connection = True

    return quietly


ok = page(completion())


# --- the other side


class WatchedLedger(Ledger):
    """Says so at once if what is charged passes the budget, at any moment and from any thread."""

    most_charged = 0

    def _insert(self, request: Request, key: str, round: int, served_by: str, tokens: int, money: float) -> int:
        return self._watched(super()._insert(request, key, round, served_by, tokens, money))

    def _end(self, key: str, attempt: int | None, **values: Any) -> None:
        self._watched(super()._end(key, attempt, **values))

    def _watched(self, result: Any) -> Any:
        now, caps = self.totals(), self.budget
        self.most_charged = max(self.most_charged, now.tokens)
        assert caps.max_tokens is None or now.tokens <= caps.max_tokens
        assert caps.max_requests is None or now.requests <= caps.max_requests
        assert caps.max_money is None or now.charged_money <= caps.max_money * (1 + 1e-12)
        return result


class Desk:
    """A client with its ledger, its events and a sleep that takes no time."""

    def __init__(self, path: Path, url: str, **options: Any) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.slept: list[float] = []
        self.ledger = WatchedLedger(path / "ledger.sqlite", options.pop("budget", Budget()))
        key, structured = options.pop("api_key", KEY), options.pop("structured", "json_schema")
        self.backend = OpenAIBackend(url, "tiny", key, structured, options.pop("timeout", 10.0))
        options = {"max_attempts": 3, "deadline_seconds": 300.0, "sleep": self.slept.append} | options
        self.client = Client(self.backend, self.ledger, emit=self.emit, **options)

    def emit(self, name: str, **fields: Any) -> None:
        self.events.append((name, fields))

    def ask(self, *requests: Request, **options: Any) -> list[Reply | Failed]:
        return self.client.ask_all(requests, round=1, **options)

    def retries(self) -> list[str]:
        return [fields["reason"] for name, fields in self.events if name == "retry"]

    def notes(self) -> list[str]:
        return [fields["text"] for name, fields in self.events if name == "note"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.ledger.close()
        self.backend.close()


def question(number: int = 0, **changes: Any) -> Request:
    fields: dict[str, Any] = {"purpose": "answer", "max_tokens": 50, "temperature": 0.0, "seed": 1}
    messages = [Message(role="user", content=f"question {number}")]
    return Request.model_validate(fields | {"messages": messages} | changes)


def text(answer: Reply | Failed) -> str:
    assert isinstance(answer, Reply), answer
    return answer.text
