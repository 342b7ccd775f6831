"""Which rules can a row break, and what is to be done about it? One sentence each.

`ingest` names the rules, `lodestar check` says the sentences, and docs/data.md lists them; a test
holds that no rule is named anywhere that does not stand here.
"""

from __future__ import annotations

RULES: dict[str, str] = {
    "field_count": "The line has more or fewer fields than the header: quote cells that hold the "
    "separator or a line break.",
    "nul_character": "The text holds a NUL byte (shown as \u2400), where many programs cut it off: "
    "export it again.",
    "error_cell": "A formula of a spreadsheet failed here: mend it, or declare the word in "
    "null_values.",
    "required": "The cell is empty and nothing works without it: fill it in at the source.",
    "day_unreadable": "The cell is no date as declared: set date_format, or mend the date.",
    "month_unreadable": "The cell is no month YYYY-MM, nor a day in one: set date_format, "
    "or mend it.",
    "instant_unreadable": "The cell is no date or time as declared: set date_format, or mend it.",
    "money_unreadable": "The cell is no amount: declare decimal and thousands, and export numbers "
    "without signs of a currency or brackets.",
    "number_unreadable": "The cell is no number: declare decimal and thousands, or mend it.",
    "count_unreadable": "The cell is no whole number: mend it at the source.",
    "flag_unreadable": "The cell is neither true nor false: map its words in values.",
    "unknown_code": "The code is none of ours: map it in values.",
    "below_minimum": "The value is lower than it can be; a credit note belongs in adjustments.",
    "above_maximum": "The value is higher than it can be: mend it, or its unit (tenure_unit).",
    "share_out_of_range": "A share lies between 0 and 1: declare units {column: percent}, or mend "
    "the value.",
    "score_out_of_range": "The answer lies outside the scale of its kind: mend kind or score.",
    "period_unreadable": "A period is a month written YYYY-MM.",
    "date_out_of_range": "The day lies before 1900 or after 2200: where it means an open end, "
    "declare it in open_ended.",
    "far_ahead": "The day lies far ahead of everything else that is known: mend the date.",
    "no_such_local_time": "The clock of the time zone skipped this time: declare timezone, or set "
    "source.daylight_saving.gap.",
    "local_time_twice": "The clock of the time zone showed this time twice: export times with "
    "their zone, or set source.daylight_saving.overlap.",
    "end_before_start": "The interval ends before it starts: mend one of the dates.",
    "zero_length": "The row starts and ends on one day: nothing was served, nothing counts.",
    "conflicting_key": "Rows share a key and differ: keep the right one, or give recorded_at so "
    "that the latest holds; in a ledger of several lines, map product or subscription_id.",
    "same_row_again": "The row stands there twice, alike in every mapped column: one is kept. "
    "Where both count, map what tells them apart (product or subscription_id of a ledger).",
    "unknown_account": "The account is not in accounts: export accounts in full, or map its id.",
    "account_set_aside": "The account is itself in quarantine: mend its row in accounts first.",
    "account_excluded": "The account is left out by a declared value, and its rows with it.",
    "merged_account": "The account was merged into another: its rows go on under that one.",
    "id_respelled": "The id is written in another way than it is kept (spaces, width, accents): "
    "the policy of source.ids makes one id of them.",
    "before_subscription": "The event lies before its subscription: mend the date or the link.",
    "after_subscription": "The event lies after the end of its subscription: mend one of the two.",
    "before_sign_up": "The event lies before its account's sign-up: mend one of the two dates.",
    "after_last_paid_day": "The account had nothing paid on that day: such use enters no feature.",
    "scheduled": "The day lies after the data's last day: it counts when it has come.",
    "rounded": "The amount has more decimals than the four that are kept.",
    "level_shift": "The month's new prices stand far from those of the year before: look for "
    "amounts in cents.",
    "not_found": "What was looked up is not there: the cell stays empty.",
}
"""Rule → what was found and what to do. `excluded_<column>` and `not_found_<column>` go by stem."""
