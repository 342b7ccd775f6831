"""From frames to pages: figures, tables, chapters, execution, HTML, publication."""

import sys

# jsonschema, which nbformat loads, builds a grammar for one format of addresses that no notebook
# holds, and takes a second of every process for it. It does without when the package is not there.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
