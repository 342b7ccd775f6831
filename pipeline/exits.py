"""Which exit code does an error mean? The classes of errors, by name, and the codes of sysexits.

By name, so that no command loads what it does not need. An error may bring a `code` or an
`error_class` of its own, which then hold.
"""

from __future__ import annotations

import errno
import re

DONE, BAD_PARAMETER, BAD_DATA, MISSING, FAILED = 0, 64, 65, 66, 70
CANNOT_CREATE, CANNOT_WRITE, NOT_NOW, CONFIGURATION = 73, 74, 75, 78
CANCELLED = 130
EXIT_CODES = {
    "ConfigurationError": CONFIGURATION,
    "MissingKernelError": CONFIGURATION,
    "ParameterError": BAD_PARAMETER,
    "MissingDataError": MISSING,
    "CorruptDataError": BAD_DATA,
    "DataError": BAD_DATA,
    "NotDueError": NOT_NOW,
    "BusyError": NOT_NOW,
    "UnreachableError": NOT_NOW,
    "ChapterFailedError": FAILED,
    "UnfinishedChapterError": FAILED,
    "UnsoundReportError": FAILED,
    "PermissionError": CANNOT_CREATE,
}
"""Class of an error → exit code."""
WRITE_ERRORS = {
    errno.ENOSPC: CANNOT_WRITE,
    errno.EDQUOT: CANNOT_WRITE,
    errno.EIO: CANNOT_WRITE,
    errno.EROFS: CANNOT_CREATE,
}
KINDS = {
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "disk_full",
    errno.EROFS: "cannot_write",
    errno.EACCES: "cannot_write",
    errno.EPERM: "cannot_write",
    errno.EIO: "io",
    errno.EBUSY: "io",
    errno.EAGAIN: "io",
    errno.ETIMEDOUT: "io",
}
"""Number of an operating system's error → kind of failure; `io` may pass by itself."""


def exit_code_of(error: BaseException) -> int:
    """The exit code of an error; 70 when nobody foresaw it."""
    if isinstance(code := getattr(error, "code", None), int):
        return code
    if isinstance(error, OSError) and error.errno in WRITE_ERRORS:
        return WRITE_ERRORS[error.errno]
    for kind in type(error).__mro__:
        if kind.__name__ in EXIT_CODES:
            return EXIT_CODES[kind.__name__]
    return FAILED


def error_class_of(error: BaseException) -> str:
    """The kind of an error in a manifest: its own word, else its class's name in small letters."""
    if kind := getattr(error, "error_class", None):
        return str(kind)
    if isinstance(error, OSError) and error.errno in KINDS:
        return KINDS[error.errno]
    name = type(error).__name__.removesuffix("Error")
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def is_foreseen(error: BaseException) -> bool:
    """True when the message alone tells a reader what to do."""
    if isinstance(error, OSError) and error.errno in WRITE_ERRORS:
        return True
    return hasattr(error, "code") or any(k.__name__ in EXIT_CODES for k in type(error).__mro__)
