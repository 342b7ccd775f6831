"""What must the company know this month? Page one, put together from what the chapters found.

Reads the snapshot tables accounts and quality, the headlines, claim cards and models of the listed
chapters, and the rows they kept for page one: population's trust; revenue's usual_range, bridge,
stay_lost, reasons, largest_losses and mix_rate; drivers' forecast, drivers and moved; time to
value's overdue. Makes summary.verdict, coming, at_risk and claims. The subtle point: a chapter may
be absent, and then its sentence, tile and rows are absent too; nothing here fills a gap or judges a
change that its interval explains.

In the order of the story: `facts` (the three sentences), `coming` (what moved and who is next),
`flat` (what is left of both for a file without dates), `changed` (mix, rate, and what moved),
`trust` (why, and how far it can be trusted), `claims` (which numbers an expert would sign).
"""

from pipeline.analysis.summary.changed import say_split, split, told
from pipeline.analysis.summary.claims import (
    claims,
    contrasts,
    doubtful,
    in_short,
    questions,
    say_claims,
)
from pipeline.analysis.summary.coming import (
    at_risk,
    coming,
    ends_earlier,
    in_one_row,
    movements,
    say_at_risk,
    say_forecast,
    say_overdue,
    still_pending,
)
from pipeline.analysis.summary.facts import SOURCE_PAIRS, TILES, sentences, verdict
from pipeline.analysis.summary.flat import of_flat_file, pairs, tiles
from pipeline.analysis.summary.trust import (
    badges,
    data_quality,
    findings,
    shown,
    top_reasons,
    trusted,
    unclaimed,
)

__all__ = [
    "SOURCE_PAIRS",
    "TILES",
    "at_risk",
    "badges",
    "claims",
    "coming",
    "contrasts",
    "data_quality",
    "doubtful",
    "ends_earlier",
    "findings",
    "in_one_row",
    "in_short",
    "movements",
    "of_flat_file",
    "pairs",
    "questions",
    "say_at_risk",
    "say_claims",
    "say_forecast",
    "say_overdue",
    "say_split",
    "sentences",
    "shown",
    "split",
    "still_pending",
    "tiles",
    "told",
    "top_reasons",
    "trusted",
    "unclaimed",
    "verdict",
]
