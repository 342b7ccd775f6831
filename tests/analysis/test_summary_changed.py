"""What changed: the parts of a change sum to the last digit, and the sentences say who moved it."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from pipeline.analysis import revenue, summary
from pipeline.reporting import words

LEVELS = ["large", "small"]


def month(period: str, **counts: tuple[int, int]) -> list[dict]:
    """Customers of MRR 10 from level=(at start, lost)."""
    return [
        {
            "period": period, "account_id": f"{level}{place}", "mrr_start": 10.0,
            "mrr_end": 0.0 if place < lost else 10.0, "is_settled": True,
        }
        for level, (n, lost) in counts.items()
        for place in range(n)
    ]  # fmt: skip


def levels_of(*months: list[dict]) -> pd.DataFrame:
    ledger = pd.DataFrame([row for rows in months for row in rows])
    names = ledger["account_id"].drop_duplicates()
    accounts = pd.DataFrame(
        {"account_id": names, "segment": names.str.extract("([a-z]+)", expand=False)}
    )
    return revenue.mix_rate(ledger, accounts, "segment")


AUGUST = month("2026-08", small=(100, 10), large=(100, 2))
MORE_OF_THE_SMALL = month("2026-09", small=(150, 15), large=(50, 1))
WORSE_IN_THE_SMALL = month("2026-09", small=(100, 20), large=(100, 2))
ODD = month("2026-09", small=(137, 19), large=(61, 3), middle=(13, 1))


def test_what_only_the_mix_did_is_mix_and_what_only_the_rate_did_is_rate():
    churn = summary.split(levels_of(AUGUST, MORE_OF_THE_SMALL)).query(
        "measure == 'gross_account_churn_rate'"
    )
    total = churn.iloc[-1]
    assert total["level"] == "Total"
    assert (total["rate_before"], total["rate_now"]) == pytest.approx((0.06, 0.08))
    assert (total["mix"], total["rate"]) == pytest.approx((0.02, 0.0), abs=1e-15)
    # Each level by hand: a quarter of all moved, 4 points above and 5 below the mean of 7 points.
    assert churn.set_index("level")["mix"].to_dict() == pytest.approx(
        {"large": 0.0125, "small": 0.0075, "Total": 0.02}, abs=1e-15
    )
    worse = summary.split(levels_of(AUGUST, WORSE_IN_THE_SMALL)).iloc[:3].set_index("level")
    assert worse["mix"].to_dict() == pytest.approx(dict.fromkeys(worse.index, 0.0), abs=1e-15)
    assert worse["rate"].to_dict() == pytest.approx(
        {"small": 0.05, "large": 0.0, "Total": 0.05}, abs=1e-15
    )


def test_levels_sum_to_the_total_and_the_total_is_the_change_to_the_last_digit():
    table = summary.split(levels_of(AUGUST, ODD))
    assert set(table["measure"]) == {"gross_account_churn_rate", "net_revenue_retention"}
    for _, rows in table.groupby("measure"):
        total, levels = rows.iloc[-1], rows.iloc[:-1]
        for part in ("mix", "rate", "change"):
            assert math.fsum(levels[part]) == pytest.approx(total[part], abs=1e-15)
        assert total["mix"] + total["rate"] == pytest.approx(total["change"], abs=1e-15)
        assert total["change"] == pytest.approx(total["rate_now"] - total["rate_before"], abs=1e-15)
        assert levels["n"].sum() == total["n"]


def test_the_parts_of_the_chapter_and_of_page_one_have_one_total():
    table = levels_of(AUGUST, ODD)
    whole = table[table["level"] == "all"]
    assert whole["mix"].tolist() == pytest.approx(whole["mix_against_average"].tolist(), abs=1e-15)
    assert whole["change"].tolist() == pytest.approx(whole["part"].tolist(), abs=1e-15)


def test_a_level_that_only_grew_moves_no_rate_that_all_levels_share():
    same = levels_of(
        month("2026-08", small=(100, 5), large=(100, 5)),
        month("2026-09", small=(200, 10), large=(100, 5)),
    )
    churn = summary.split(same).query("measure == 'gross_account_churn_rate'")
    assert churn["mix"].abs().max() < 1e-15
    assert churn["rate"].abs().max() < 1e-15


def test_what_moved_most_comes_first_and_the_total_last():
    churn = summary.split(levels_of(AUGUST, WORSE_IN_THE_SMALL)).iloc[:3]
    assert churn["level"].tolist() == ["small", "large", "Total"]


def test_the_sentence_says_mix_rate_and_who_moved_it_with_n():
    churn, net = summary.say_split(levels_of(AUGUST, WORSE_IN_THE_SMALL), words, words.label)
    assert churn == (
        "Gross account churn, August 2026 to September 2026: 6.0 % → 11.0 %, up 5.00 points, "
        "0.00 points by mix and 5.00 points by rate. Most came from small, 5.00 points (n 100)."
    )
    assert net.startswith("Net revenue retention, this month, August 2026 to September 2026")
    assert "94.0 % → 89.0 %, down 5.00 points" in net


def test_a_mover_whose_number_is_hidden_is_named_without_it():
    hidden = levels_of(AUGUST, WORSE_IN_THE_SMALL).assign(n_now=float("nan"))
    said = summary.say_split(hidden, words, words.label).iloc[0]
    assert said.endswith("Most came from small, 5.00 points.")


def test_one_level_has_no_mover_and_no_two_months_have_no_change():
    one = levels_of(month("2026-08", all=(100, 5)), month("2026-09", all=(100, 6)))
    said = summary.say_split(one, words, words.label)
    assert "Most came from" not in said.iloc[0]
    nothing = summary.say_split(pd.DataFrame(), words, words.label)
    assert nothing.tolist() == ["There are not two settled months in a row to compare."]
    assert summary.split(pd.DataFrame()).empty


def test_a_sentence_that_a_chapter_kept_is_said_once_and_none_where_it_kept_none():
    rows = pd.DataFrame({"driver": ["a", "b"], "sentence": ["It holds.", "It holds."]})
    assert summary.told(rows).tolist() == ["It holds."]
    assert summary.told(pd.DataFrame()).empty
