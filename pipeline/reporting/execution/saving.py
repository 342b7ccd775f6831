"""When is a notebook written while it runs? When it starts and when it ended, good or bad.

Makes an engine of papermill; loads papermill, so it is imported where a notebook runs. The subtle
point: papermill writes all cells before and after each one, which for a chapter of a hundred cells
is a fifth of its time. Here a cell that begins or ends writes nothing; an end by a dead kernel or a
time-out is written as ever.
"""

from __future__ import annotations

from typing import Any

from papermill.engines import NBClientEngine, NotebookExecutionManager, papermill_engines

ENGINE = "saved-at-the-end"


class SavedAtTheEnd(NBClientEngine):
    """papermill's own engine; the notebook is written when it starts and when it ended."""

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: NotebookExecutionManager, kernel_name: str, **named: Any
    ) -> Any:
        """Run the cells while the manager knows no file; cost: one writing, not two a cell."""
        target, nb_man.output_path = nb_man.output_path, None
        try:
            return super().execute_managed_notebook(nb_man, kernel_name, **named)
        finally:
            nb_man.output_path = target


papermill_engines.register(ENGINE, SavedAtTheEnd)
