"""How does a run use DVC without its doing the same work many times? As a program, `dvc …` itself.

Bound to the run like every child of it (`children`). DVC answers, records and fails as it always
does; two things it would do over and over it does once: it reads params.yaml anew for every stage,
and after `commit` of several stages it reads dvc.yaml and dvc.lock anew for each and writes
dvc.lock as often. And dvc.lock, which grows with every month, it reads for its content alone, also
before it writes there: a comment in it is lost. Commands with AND between them share one process,
for DVC loads for a second; one that fails is the last. The subtle point: what is kept of a file is
kept by its text, so a file that changes is read again.
"""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from pipeline.children import bind

AND = "+"
"""Between two commands; no word of DVC."""
LOCK = "dvc.lock"
"""No person writes in it; to keep comments DVC reads it in twice the time before it writes."""


def reading_once(parse: Callable[..., Any]) -> Callable[..., Any]:
    """`parse_yaml` of DVC that remembers what plain YAML meant; each answer is a fresh copy."""
    known: dict[str, Any] = {}

    def parsed(text: str | bytes, path: str, typ: str = "safe") -> Any:
        is_plain = typ == "safe" or os.path.basename(path) == LOCK
        if not is_plain or not isinstance(text, str):
            return parse(text, path, typ=typ)
        if text not in known:
            known[text] = parse(text, path)
        return copy.deepcopy(known[text])

    return parsed


def commit_together(repo: Any, targets: Sequence[str], *, force: bool, relink: bool) -> None:
    """`dvc commit` of several stages under one lock, with one writing of dvc.lock at the end.

    The stages that were taken down before one failed stay taken down, as with DVC's own command.
    """
    from dvc.repo import lock_repo
    from dvc.repo.commit import prompt_to_commit

    with lock_repo(repo):
        found = [each for target in targets for each in repo.stage.collect_granular(target)]
        done: dict[Any, list[Any]] = {}
        try:
            for stage, chosen in found:
                if force:
                    stage.save(allow_missing=False)
                elif any(changes := stage.changed_entries()):
                    prompt_to_commit(stage, changes, force=force)
                    stage.save(allow_missing=False)
                stage.commit(filter_info=chosen, allow_missing=False, relink=relink)
                done.setdefault(stage.dvcfile, []).append(stage)
        finally:
            for dvcfile, stages in done.items():
                dvcfile.dump_stages(stages, update_pipeline=False)


def _commit(command: Any) -> int:
    """The command `dvc commit`, in the place of DVC's own."""
    from dvc.exceptions import DvcException
    from dvc.log import logger

    given = command.args
    try:
        commit_together(command.repo, given.targets, force=given.force, relink=given.relink)
    except DvcException:
        logger.exception("failed to commit")
        return 1
    return 0


def main() -> None:
    """Run DVC with the words given, bound to the run."""
    bind()
    from dvc.cli import main as dvc  # after the binding: it loads for a second
    from dvc.commands.commit import CmdCommit
    from dvc.utils import strictyaml
    from dvc.utils.serialize import _yaml

    _yaml.parse_yaml = strictyaml.parse_yaml = reading_once(_yaml.parse_yaml)
    CmdCommit.run = _commit
    code = 0
    for words in commands(sys.argv[1:]):
        if code := dvc(words):
            break
    sys.exit(code)


def commands(words: Sequence[str]) -> list[list[str]]:
    """The commands that follow each other, each in its words."""
    found: list[list[str]] = [[]]
    for word in words:
        if word == AND:
            found.append([])
        else:
            found[-1].append(word)
    return found


if __name__ == "__main__":
    main()
