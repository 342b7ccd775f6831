"""Can the raw data be used? What `lodestar check` and `lodestar doctor` look at, and nothing else.

`files` looks at what lies there, all of it at once; `rows` reads it as a run would and counts what
is set aside; `saying` puts it in words, in a table or in JSON. Nothing of the project is changed:
what is made goes to a folder of its own and is removed.
"""

from pipeline.checking.rows import check

__all__ = ["check"]
