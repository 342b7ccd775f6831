"""How does word get out? Messages by Apprise, knocks by HTTP, and nobody waits for long.

Reads the addresses in LODESTAR_NOTIFY_URLS (between blanks or commas) and LODESTAR_PING_URL. The
subtle point: each address has a thread of its own that may be left behind, so that a dead, slow or
refusing endpoint neither fails a run nor keeps it waiting beyond one budget for all.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
import urllib.request
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.redaction import BETWEEN_URLS, FOR_THE_RUNNER_ALONE
from pipeline.run.journal import Journal

NOTIFY_VARIABLE, PING_VARIABLE = FOR_THE_RUNNER_ALONE
START, SUCCESS, FAIL = "/start", "", "/fail"
"""What follows the address of a ping, as Healthchecks and its kin have it."""
TIMEOUT_SECONDS = 5.0
ATTEMPTS = 2
BUDGET_SECONDS = 11.0
"""All that a run waits for whoever is told: two attempts, side by side to everybody."""


@dataclass(frozen=True)
class Message:
    """One thing to tell: `kind` is failed, recovered, late or warnings."""

    kind: str
    title: str
    body: str


@dataclass
class Post:
    """Sends side by side, each address from a thread of its own that nobody has to wait for."""

    journal: Journal
    budget: float = BUDGET_SECONDS
    _sending: dict[str, threading.Thread] = field(default_factory=dict)

    def ping(self, suffix: str, environment: Mapping[str, str]) -> None:
        """Knock at the address of LODESTAR_PING_URL, if there is one."""
        address = environment.get(PING_VARIABLE, "").strip().rstrip("/")
        if address:
            self._start(f"ping{suffix}", lambda: _knock(f"{address}{suffix}"))

    def send(self, message: Message, environment: Mapping[str, str]) -> None:
        """Send a message to each address of LODESTAR_NOTIFY_URLS, if there are any."""
        addresses = BETWEEN_URLS.split(environment.get(NOTIFY_VARIABLE, "").strip())
        for place, address in enumerate(filter(None, addresses), start=1):
            name = f"{message.kind} to address {place}"
            service = _service(address)
            if service is None:
                self.journal.warning("address_unusable", what=name)
                continue
            self._start(name, functools.partial(_deliver, message, service))

    def wait(self) -> None:
        """Wait for what is under way until the budget is spent; say what was left behind."""
        deadline = time.monotonic() + self.budget
        for name, thread in self._sending.items():
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                self.journal.warning("not_sent", what=name, reason="no answer in time")

    def _start(self, name: str, attempt: Callable[[], bool]) -> None:
        self._sending[name] = threading.Thread(
            target=self._try, args=(name, attempt), name=name, daemon=True
        )
        self._sending[name].start()

    def _try(self, name: str, attempt: Callable[[], bool]) -> None:
        reason = ""
        for number in range(1, ATTEMPTS + 1):
            try:
                if attempt():
                    self.journal.info("sent", what=name, attempts=number)
                    return
                reason = "refused"
            except Exception as error:  # of any service's library
                reason = type(error).__name__
        self.journal.warning("not_sent", what=name, reason=reason, attempts=ATTEMPTS)


def _knock(address: str) -> bool:
    if not address.startswith(("http://", "https://")):
        raise ValueError(f"{PING_VARIABLE} must be an http or https address.")
    with urllib.request.urlopen(address, timeout=TIMEOUT_SECONDS) as answer:
        return 200 <= answer.status < 300


def _service(address: str) -> Any:
    """What Apprise makes of an address; None for one it does not know."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its plugins import modules that Python is to drop
        import apprise  # for half a second, so only when there is something to send

        logging.getLogger("apprise").disabled = True  # it names addresses; the journal does not
        service = apprise.Apprise.instantiate(address, suppress_exceptions=True)
    if service is not None:
        service.socket_connect_timeout = service.socket_read_timeout = TIMEOUT_SECONDS
    return service


def _deliver(message: Message, service: Any) -> bool:
    return bool(service.notify(title=message.title, body=message.body))
