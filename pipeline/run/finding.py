"""What does the doctor say of one thing? Sound, a warning, or what stops a run."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.exits import CONFIGURATION


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `code` is the exit code of a run that it stops."""

    name: str
    ok: bool
    is_fatal: bool
    message: str
    fix: str = ""
    code: int = CONFIGURATION


def sound(name: str, message: str) -> Finding:
    """All is well."""
    return Finding(name, True, False, message)


def warning(name: str, message: str, fix: str = "") -> Finding:
    """Something is not as it should be; a run goes on."""
    return Finding(name, False, False, message, fix)


def stop(name: str, message: str, fix: str = "", code: int = CONFIGURATION) -> Finding:
    """A run cannot begin."""
    return Finding(name, False, True, message, fix, code)
