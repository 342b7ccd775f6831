"""What `lodestar doctor` says of the raw data, before anything is run."""

from pathlib import Path

import pytest

from pipeline.run import doctor
from pipeline.run.finding import Finding
from pipeline.run.raw_data import looks
from tests.stages.company import accounts_of, write_company

SUBSCRIPTIONS = "subscription_id,account_id,start_date,mrr\ns1,a,2024-01-01,10\n"
SOUND = {"accounts.csv": accounts_of("a"), "subscriptions.csv": SUBSCRIPTIONS}
DATABASE = {"database": {"backend": "postgres", "url": "BILLING_DATABASE_URL"}}


def of(name: str, root: Path, files: dict[str, str], **params: object) -> list[Finding]:
    own = write_company(root, files, **params)
    return [look for look in looks(own.paths, own.settings) if look.name == name]


def test_sound_exports_are_counted(tmp_path: Path) -> None:
    (found,) = of("raw data", tmp_path, SOUND)
    assert found.ok
    assert found.message == "2 files of 2 tables, their headers can be read"


def test_a_missing_file_and_a_missing_column_are_two_findings_with_the_codes_of_a_run(
    tmp_path: Path,
) -> None:
    found = of("raw data", tmp_path, {"accounts.csv": "account_id\na\n"})
    assert [look.code for look in found] == [66, 65]
    assert "subscriptions.csv" in found[0].message
    assert "signed_up_date" in found[1].message


def test_a_company_without_a_folder_is_named(tmp_path: Path) -> None:
    own = write_company(tmp_path, {})
    own.paths.raw.rmdir()
    (found,) = looks(own.paths, own.settings)
    assert (found.ok, found.code) == (False, 66)
    assert found.message == "data/raw/acme is not there"


def test_a_database_needs_its_variable_and_says_what_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BILLING_DATABASE_URL", raising=False)
    (unset,) = of("database", tmp_path / "a", {}, source=DATABASE)
    assert (unset.ok, unset.code) == (False, 78)
    monkeypatch.setenv("BILLING_DATABASE_URL", "postgresql://u:secret-word@db.example/billing")
    (given,) = of("database", tmp_path / "b", {}, source=DATABASE)
    assert given.ok
    assert "secret-word" not in repr(given)


def test_the_doctor_looks_at_the_data_and_a_run_does_not_wait_for_it(tmp_path: Path) -> None:
    own = write_company(tmp_path, {"accounts.csv": "account_id\na\n"})
    thorough = doctor.examine(own.paths, own.settings, is_thorough=True)
    assert sum(finding.name == "raw data" for finding in thorough) == 2
    quick = doctor.examine(own.paths, own.settings)
    assert not any(finding.name == "raw data" for finding in quick)
