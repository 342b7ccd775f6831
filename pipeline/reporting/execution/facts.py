"""How did one chapter run? Time, memory, warnings and failure, for the run's manifest.

Reads no table; makes one small file beside the file in which a child leaves its failure. The subtle
point: these change from run to run, so they stand here and never in a chapter's own folder.
"""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pipeline.children import FAILURE_VARIABLE, facts_beside
from pipeline.data import store
from pipeline.redaction import redacted
from pipeline.reporting.execution.gate import first_line
from pipeline.reporting.execution.kernel import Watch, peak_memory_mb

ALLOWED_WARNINGS = frozenset(
    {"DeprecationWarning", "PendingDeprecationWarning", "FutureWarning", "ImportWarning"}
)
"""Classes that speak of a library's next version and not of this month's numbers."""


@dataclass
class Facts:
    """How one chapter ran; no value of the data, and nothing that a report shows.

    `warnings`: one entry per class {category, count, is_allowed}. `error`: None, or {class,
    notebook, cell, cell_index, message, kept}. `peak_memory_mb`: the kernel's, at most.
    """

    notebook: str
    source_sha256: str = ""
    seconds: float = 0.0
    peak_memory_mb: float = 0.0
    warnings: list[dict[str, Any]] = field(default_factory=list)
    error: dict[str, Any] | None = None

    def take(self, watch: Watch) -> None:
        """Add what the kernel noted."""
        self.warnings = [
            {"category": name, "count": count, "is_allowed": name in ALLOWED_WARNINGS}
            for name, count in sorted(watch.warnings.items())
        ]

    def close(self, began: float, error: BaseException | None) -> None:
        """Add the time it took, since `began` on the steady clock, and how it failed."""
        self.seconds = round(time.monotonic() - began, 3)
        self.peak_memory_mb = round(peak_memory_mb(), 1)
        if error is not None:
            self.error = {
                "class": getattr(error, "error_class", type(error).__name__),
                "notebook": self.notebook,
                "cell": getattr(error, "cell", None),
                "cell_index": getattr(error, "cell_index", None),
                "message": redacted(first_line(error)),
                "kept": getattr(error, "kept", None),
            }

    def leave(self) -> None:
        """Write the facts where the runner that started this process looks for them, if any did."""
        if failure := os.environ.get(FAILURE_VARIABLE):
            store.write_json(asdict(self), facts_beside(Path(failure)))
