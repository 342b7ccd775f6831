"""Secrets: known by the names of variables, replaced wherever their values turn up."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import redaction
from pipeline.redaction import REDACTED

CANARY = "canary-7f3e9b"


@pytest.mark.parametrize(
    "name",
    ["LODESTAR_PSEUDONYM_KEY", "API_TOKEN", "db_password", "AWS_SECRET", "LODESTAR_NOTIFY_URLS"],
)
def test_what_a_secret_variable_holds_is_replaced_in_text_lists_and_mappings(name: str) -> None:
    said = {"message": f"key {CANARY}!", "all": [CANARY, ("a", CANARY)], "n": 3, "none": None}
    found = redaction.redacted(said, {name: CANARY})
    assert CANARY not in json.dumps(found)
    assert found["message"] == f"key {REDACTED}!"
    assert (found["n"], found["none"]) == (3, None)


def test_a_variable_that_is_no_secret_keeps_its_value() -> None:
    environment = {"HOME": CANARY, "KEYBOARD": CANARY, "KEY_PATH": CANARY, "A_KEY": "abc",
                   "HOME_URL": "https://example.org/lodestar"}  # fmt: skip
    said = f"{CANARY} abc lodestar run"
    assert redaction.redacted(said, environment) == said


@pytest.mark.parametrize(
    "url",
    [
        f"mailto://user:{CANARY}@example.org",
        f"slack://aaaa/{CANARY}/cccc",
        f"https://example.org/hook?token={CANARY}",
        f"json://example.org, tgram://{CANARY}/1234",
        "mailto://user:canary%2D7f3e9b@example.org",
    ],
)
def test_the_telling_parts_of_a_url_are_secret_wherever_they_stand(url: str) -> None:
    said = f"could not reach the service of {CANARY} at all"
    found = redaction.redacted(said, {"LODESTAR_NOTIFY_URLS": url})
    assert found == f"could not reach the service of {REDACTED} at all"


def test_a_user_and_password_in_any_url_are_replaced_though_no_variable_holds_them() -> None:
    said = f"connection to postgresql://reader:{CANARY}@db:5432/sales failed"
    expected = f"connection to postgresql://{REDACTED}@db:5432/sales failed"
    assert redaction.redacted(said, {}) == expected


def test_a_secret_that_holds_another_is_replaced_whole() -> None:
    environment = {"A_KEY": "abcd", "B_KEY": "abcd-efgh"}
    assert redaction.redacted("x abcd-efgh y abcd", environment) == f"x {REDACTED} y {REDACTED}"


@settings(max_examples=1_000, derandomize=True, deadline=None, database=None)
@given(st.from_regex(redaction.TOKEN, fullmatch=True))
def test_whatever_looks_like_a_secret_is_replaced_though_no_variable_holds_it(token: str) -> None:
    assert redaction.redacted(f"it is {token}", {}).startswith(f"it is {REDACTED}")
