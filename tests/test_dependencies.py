"""Every list of versions agrees: pyproject.toml, the two locks and environment.yml.

`make check` runs these. They read files and ask no network: that each direct dependency is in the
lock, at a version that pyproject.toml allows, is what goes wrong when one of the two is edited.
"""

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PLAIN_LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
SPARK_LOCK = (ROOT / "requirements-spark.lock").read_text(encoding="utf-8")
LOCK = PLAIN_LOCK + SPARK_LOCK
LOCKED = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)", re.MULTILINE)
CONDA = YAML(typ="safe").load((ROOT / "environment.yml").read_text(encoding="utf-8"))
REMEDY = "run `make lock`, or correct pyproject.toml"


def direct_requirements() -> list[Requirement]:
    groups = PROJECT.get("dependency-groups", {}).values()
    extras = PROJECT["project"]["optional-dependencies"].values()
    more = (text for each in (*groups, *extras) for text in each)
    texts = [*PROJECT["project"]["dependencies"], *more]
    return [Requirement(text) for text in texts]


def locked_versions() -> dict[str, list[str]]:
    versions: dict[str, list[str]] = {}
    for match in LOCKED.finditer(LOCK):
        versions.setdefault(canonicalize_name(match["name"]), []).append(match["version"])
    return versions


def brought_by(requirement: Requirement) -> list[str]:
    """The packages that the extras of a requirement ask for."""
    try:
        asked = metadata.requires(requirement.name) or []
    except metadata.PackageNotFoundError:  # the test of the lock says so in better words
        return []
    return [
        canonicalize_name(each.name)
        for each in map(Requirement, asked)
        for extra in requirement.extras
        if each.marker and each.marker.evaluate({"extra": extra}) and not each.marker.evaluate()
    ]


@pytest.mark.parametrize("requirement", direct_requirements(), ids=lambda each: each.name)
def test_the_lock_holds_every_direct_dependency_at_an_allowed_version(
    requirement: Requirement,
) -> None:
    versions = locked_versions().get(canonicalize_name(requirement.name), [])
    assert versions, f"{requirement.name} is not in requirements.lock: {REMEDY}"
    wrong = [each for each in versions if each not in requirement.specifier]
    assert not wrong, f"requirements.lock holds {wrong}, not allowed by {requirement}: {REMEDY}"


@pytest.mark.parametrize(
    "requirement",
    [each for each in direct_requirements() if each.extras],
    ids=lambda each: each.name,
)
def test_the_lock_holds_what_the_extras_of_a_dependency_bring(requirement: Requirement) -> None:
    missing = [name for name in brought_by(requirement) if name not in locked_versions()]
    assert not missing, f"{requirement} brings {missing}, not in requirements.lock: {REMEDY}"


def test_the_lock_names_no_address() -> None:
    address = re.compile(r"https?:|file:|git\+|@ |--(extra-)?index|--find-links|--trusted-host")
    named = [line for line in LOCK.splitlines() if address.search(line)]
    assert not named, f"requirements.lock names an address: {named[:5]}; make it with `make lock`"


def test_every_locked_package_has_a_hash() -> None:
    blocks = re.split(r"^(?=[A-Za-z0-9])", LOCK, flags=re.MULTILINE)[1:]
    assert len(blocks) == len(LOCKED.findall(LOCK))
    bare = [each.split()[0] for each in blocks if "--hash=sha256:" not in each]
    assert not bare, f"requirements.lock holds no hash of {bare[:5]}; make it with `make lock`"


def test_only_who_asks_for_spark_gets_it() -> None:
    first, second = (set(re.findall(LOCKED, text)) for text in (PLAIN_LOCK, SPARK_LOCK))
    assert {name for name, _ in second} == {"py4j", "pyspark"}
    assert first & second == set()


def test_the_extra_and_the_group_ask_for_the_same_spark() -> None:
    extra = set(PROJECT["project"]["optional-dependencies"]["spark"])
    assert set(PROJECT["dependency-groups"]["spark"]) <= extra


def test_conda_users_get_the_same_lock() -> None:
    lists = [each["pip"] for each in CONDA["dependencies"] if isinstance(each, dict)]
    assert lists == [["-r requirements.lock"]], "environment.yml takes all from requirements.lock"


def test_conda_users_get_a_python_that_the_package_allows() -> None:
    wanted = [each for each in CONDA["dependencies"] if str(each).startswith("python=")]
    allowed = PROJECT["project"]["requires-python"]
    version = wanted[0].removeprefix("python=")
    assert version in SpecifierSet(allowed), f"environment.yml: {version}; pyproject: {allowed}"


def test_the_set_up_takes_every_python_that_the_package_allows_and_no_other() -> None:
    script = (ROOT / ".ci" / "set-up").read_text(encoding="utf-8")
    listed = re.search(r"^ +([\d. |]+)\) ;;$", script, re.MULTILINE)
    taken = listed[1].split(" | ") if listed else []
    allowed = SpecifierSet(PROJECT["project"]["requires-python"])
    expected = [f"3.{minor}" for minor in range(30) if f"3.{minor}" in allowed]
    assert taken == expected, f".ci/set-up takes {taken}, pyproject.toml allows {expected}"
