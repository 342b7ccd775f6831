"""Sending: to a service that answers, refuses, is slow, dribbles or is not there."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipeline.run import post
from pipeline.run.journal import Journal
from pipeline.run.post import Message, Post

MESSAGE = Message("failed", "Lodestar: the run failed", "Exit code 70.")
CANARY = "canary-7f3e9b"
LIMIT = 0.5
"""Seconds that these tests give an endpoint, in place of the real five."""


class Listener(BaseHTTPRequestHandler):
    """Answers by the first word of the path, and keeps what it was asked."""

    asked: list[tuple[str, str]]
    over: threading.Event

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.asked.append((self.path, self.rfile.read(length).decode("utf-8")))
        self._answer()

    def do_GET(self) -> None:
        self.asked.append((self.path, ""))
        self._answer()

    def _answer(self) -> None:
        how = self.path.split("/")[1]
        if how == "slow":
            self.over.wait(30)
        self.send_response(500 if how == "broken" else 200)
        self.end_headers()
        while how == "dribble" and not self.over.wait(LIMIT / 5):
            self.wfile.write(b".")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def listener() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Host and port of a service on this machine, and what it was asked."""
    asked: list[tuple[str, str]] = []
    over = threading.Event()
    handler = type("Handler", (Listener,), {"asked": asked, "over": over})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.handle_error = lambda *_: None  # a caller that hung up
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}", asked
    over.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(post, "TIMEOUT_SECONDS", LIMIT)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def log(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "log.jsonl", "20261101T060001Z-3fa9c1")


def events(log: Journal) -> list[tuple[str, str, str]]:
    lines = [json.loads(line) for line in log.path.read_text(encoding="utf-8").splitlines()]
    return [(line["event"], line["what"], line.get("reason", "")) for line in lines]


def sent(log: Journal, addresses: str) -> float:
    """Send to the addresses; the seconds it took."""
    began = time.monotonic()
    sending = Post(log, budget=3 * LIMIT)
    sending.send(MESSAGE, {"LODESTAR_NOTIFY_URLS": addresses})
    sending.wait()
    return time.monotonic() - began


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    """Apprise loads its plugins once; no test times that."""
    assert post._service("json://localhost") is not None


def test_a_message_reaches_every_address_with_title_and_body(
    listener: tuple[str, list], log: Journal
) -> None:
    host, asked = listener
    sent(log, f" json://{host}/one,json://{host}/two ")
    assert sorted(path.strip("/") for path, _ in asked) == ["one", "two"]
    content = json.loads(asked[0][1])
    assert (content["title"], content["message"]) == (MESSAGE.title, MESSAGE.body)
    assert {event for event, *_ in events(log)} == {"sent"}


def test_a_ping_knocks_at_start_success_and_fail(listener: tuple[str, list], log: Journal) -> None:
    host, asked = listener
    sending = Post(log)
    for suffix in (post.START, post.SUCCESS, post.FAIL):
        sending.ping(suffix, {"LODESTAR_PING_URL": f"http://{host}/check/"})
    sending.wait()
    assert sorted(path for path, _ in asked) == ["/check", "/check/fail", "/check/start"]


def test_f144_a_service_that_answers_500_is_tried_twice_and_logged(
    listener: tuple[str, list], log: Journal
) -> None:
    host, asked = listener
    sent(log, f"json://{host}/broken")
    assert len(asked) == post.ATTEMPTS
    assert events(log) == [("not_sent", "failed to address 1", "refused")]


@pytest.mark.parametrize("how", ["slow", "dribble"])
def test_f144_a_slow_service_costs_the_budget_at_most_and_holds_up_no_other(
    listener: tuple[str, list], log: Journal, how: str
) -> None:
    host, asked = listener
    seconds = sent(log, f"json://{host}/{how} json://{host}/good")
    assert seconds < 3 * LIMIT + 1
    assert ("sent", "failed to address 2", "") in events(log)
    assert [event for event, what, _ in events(log) if what.endswith("1")] != ["sent"]
    assert len(asked) >= 2


def test_f144_a_service_that_is_not_there_is_logged(log: Journal) -> None:
    assert sent(log, "json://127.0.0.1:9/x") < 3 * LIMIT + 1
    assert events(log) == [("not_sent", "failed to address 1", "refused")]


def test_f144_a_ping_that_nobody_answers_is_logged(log: Journal) -> None:
    sending = Post(log, budget=3 * LIMIT)
    sending.ping(post.FAIL, {"LODESTAR_PING_URL": "http://127.0.0.1:9/x"})
    sending.wait()
    assert [(event, what) for event, what, _ in events(log)] == [("not_sent", "ping/fail")]


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_a_ping_knocks_at_web_addresses_only(log: Journal, address: str) -> None:
    sending = Post(log)
    sending.ping(post.SUCCESS, {"LODESTAR_PING_URL": address})
    sending.wait()
    assert events(log) == [("not_sent", "ping", "ValueError")]


def test_an_address_that_nobody_understands_is_logged_by_its_place_alone(
    log: Journal, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    sent(log, f"nonsense-{CANARY} json://127.0.0.1:9/{CANARY}")
    assert events(log)[0][:2] == ("address_unusable", "failed to address 1")
    assert CANARY not in log.path.read_text(encoding="utf-8")
    assert CANARY not in "".join(capfd.readouterr()) + caplog.text
    assert caplog.records == []
