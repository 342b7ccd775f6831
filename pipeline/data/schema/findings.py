"""What does `lodestar check --json` say? Every field of its answer, declared once.

docs/data.md is generated from this, and a test holds that the command says these fields and no
other. A field is added, never renamed; `schema_version` counts changes that break a reader.
"""

from __future__ import annotations

SCHEMA_VERSION = 1

CHECK: dict[str, str] = {
    "schema_version": "Version of this answer.",
    "company": "The company's slug.",
    "exit_code": "The code that the command ends with, as a run would: 0, 65, 66, 75 or 78.",
    "extract_date": "Last day the data know about; null when that cannot be told.",
    "mrr": "MRR of all customers on that day, in the company's currency; null as above, "
    "and when the source has no money.",
    "stops": "What a run stops for: one object each, all that can be found at once.",
    "tables": "One object per table that could be read, with its rows.",
    "rules": "One object per table and rule that rows broke, or that remarks on them.",
    "warnings": "What does not stop a run, one object each.",
    "not_given": "Optional tables and columns that are not given and that a chapter would use.",
}
STOPS: dict[str, str] = {
    "code": "Exit code of a run that meets it.",
    "table": "Raw table, or empty.",
    "message": "What was found, where, why it stops a run, and what to do.",
}
TABLES: dict[str, str] = {
    "table": "Raw table.",
    "rows": "Rows received; the next four add up to it.",
    "used": "Rows used.",
    "quarantined": "Rows set aside because they break a rule.",
    "merged": "Rows that say the same twice.",
    "excluded": "Rows left out by a named rule.",
}
RULES: dict[str, str] = {
    "table": "Raw table.",
    "rule": "Name of the rule.",
    "kind": "quarantined, merged, excluded, or warning (the row is used).",
    "n": "Rows.",
    "n_of": "Of so many rows received.",
    "n_accounts": "Accounts that they name; 0: the table names none.",
    "mrr": "MRR of these accounts, and of subscription rows that are set aside; null as above.",
    "mrr_share": "Share of that in the MRR of all; null when there is none.",
    "what_to_do": "One sentence.",
    "examples": "Up to five places: file, line (the header is line 1), column, value.",
}
WARNINGS: dict[str, str] = {
    "table": "Raw table, or empty.",
    "subject": "extra_columns, few_rows, fewer_rows, empty_file.",
    "message": "In words.",
}
NOT_GIVEN: dict[str, str] = {
    "subject": "Table, or table.column.",
    "adds": "By chapter, what it would add.",
}
PARTS = {
    "": CHECK, "stops": STOPS, "tables": TABLES, "rules": RULES, "warnings": WARNINGS,
    "not_given": NOT_GIVEN,
}  # fmt: skip
"""Part of the answer → its fields; the empty name is the answer itself."""
