"""What must never be written? What secret environment variables hold, wherever it turns up.

Reads names and values of environment variables, makes nothing. The subtle point: a secret is known
by the name of its variable; of an address, its telling parts are secret too, because an error of a
library quotes a host or a path without the rest.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

FOR_THE_RUNNER_ALONE = ("LODESTAR_NOTIFY_URLS", "LODESTAR_PING_URL")
"""Addresses that no stage and no notebook needs to know."""
SECRET_NAME = re.compile(r"(_(KEY|TOKEN|SECRET|PASSWORD|URLS?)|\APGPASSWORD)\Z", re.IGNORECASE)
"""Environment variables whose values are secret; one of them is PostgreSQL's own."""
SECRET_WORD = re.compile(
    r"(\A|_)(key|token|secret|password|passwd|credentials?|urls?)(_|\Z)", re.IGNORECASE
)
"""Parts of a name under which nothing may be saved."""
TOKEN = re.compile(
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"  # Amazon
    r"|\bgh[pousr]_[0-9A-Za-z]{36,}|\bgithub_pat_[0-9A-Za-z_]{40,}|\bglpat-[\w-]{20,}"
    r"|\bxox[abeoprs]-[0-9A-Za-z-]{10,}|\b[sr]k_live_[0-9A-Za-z]{16,}|\bsk-[\w-]{20,}"
    r"|\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*"  # JSON web token
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----(?:(?!-----END )[\s\S])*"
)
"""Secrets that are known by how they look, whatever holds them."""
TOKEN_BEGINS = (
    "AKIA", "ASIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox",
    "k_live_", "sk-", "eyJ", "-----BEGIN ",
)  # fmt: skip
"""What every such secret has in it: a text is searched for these words in a hundredth of the
time."""
MAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@(?:[\w-]{1,63}\.)+[^\W\d_]{2,24}\b")
HIDDEN_MAIL = "[e-mail address]"
USER_IN_URL = re.compile(r"://[^/\s@'\"]+@")
"""Begins with plain letters: a scheme before them would cost time squared on a long word."""
BETWEEN_URLS = re.compile(r"[\s,;]+")
SHORTEST_SECRET = 4
"""Characters. A shorter value would take pieces out of plain words."""
SHORTEST_PATH_SECRET = 8
"""Characters of a piece of a URL's path with a digit in it: a chat service's token, no word."""
SHORTEST_OWN_SECRET = 8
"""Characters of a secret of ours that a report is searched for."""
NO_TOKENS = ("localhost",)
"""Without a dot in it, what stands in a host's place is a chat service's token, but for this."""
REDACTED = "[redacted]"


def secrets_of(environment: Mapping[str, str]) -> list[str]:
    """What must never be written, the longest first: values, and the telling parts of URLs."""
    found: set[str] = set()
    for name, value in environment.items():
        if not SECRET_NAME.search(name):
            continue
        found.add(value.strip())
        if "://" in value:
            found |= {part for url in BETWEEN_URLS.split(value) for part in _parts_of_url(url)}
    known = {text for each in found for text in (each, unquote(each))}
    return sorted((text for text in known if len(text) >= SHORTEST_SECRET), key=_longest_first)


def _longest_first(text: str) -> tuple[int, str]:
    return -len(text), text


def is_secret_name(name: str) -> bool:
    """True for a name under which one would look for a password or an address with one."""
    return SECRET_WORD.search(name) is not None


def without_mail(text: str) -> str:
    """Text without addresses of persons."""
    return MAIL.sub(HIDDEN_MAIL, text) if "@" in text else text


def _parts_of_url(url: str) -> Iterator[str]:
    yield url
    with contextlib.suppress(ValueError):  # what urllib refuses has no parts
        split = urlsplit(url)
        user, has_user, host = split.netloc.rpartition("@")
        if has_user:
            yield user
            yield from user.split(":")
        host = host.rpartition(":")[0] or host
        pieces = [*split.path.split("/"), "" if "." in host or host in NO_TOKENS else host]
        yield from (piece for piece in pieces if _is_token(piece))
        yield from (value for _, value in parse_qsl(split.query))


def _is_token(piece: str) -> bool:
    return len(piece) >= SHORTEST_PATH_SECRET and any(letter.isdigit() for letter in piece)


def redacted(said: Any, environment: Mapping[str, str] | None = None) -> Any:
    """The same text, list or mapping with every secret of the environment replaced."""
    known = secrets_of(os.environ if environment is None else environment)
    return _without(said, known)


def own_secrets(environment: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
    """Name and value of Lodestar's own secrets, long enough that no page holds them by chance."""
    known = os.environ if environment is None else environment
    return [
        (name, text.strip())
        for name, text in sorted(known.items())
        if name.startswith("LODESTAR_")
        and SECRET_NAME.search(name)
        and len(text.strip()) >= SHORTEST_OWN_SECRET
    ]


def _without(said: Any, known: list[str]) -> Any:
    if isinstance(said, str):
        for secret in known:
            said = said.replace(secret, REDACTED)
        said = USER_IN_URL.sub(f"://{REDACTED}@", said)
        has_token = any(begin in said for begin in TOKEN_BEGINS)
        return TOKEN.sub(REDACTED, said) if has_token else said
    if isinstance(said, Mapping):
        return {key: _without(value, known) for key, value in said.items()}
    if isinstance(said, (list, tuple)):
        return [_without(value, known) for value in said]
    return said
