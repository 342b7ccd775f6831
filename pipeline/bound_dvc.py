"""How does a run use DVC without its doing the same work many times? One DVC that stays.

As a program, bound to the run like every child of it (`children`): each line of standard input is a
command, with the environment to run it in and the word that ends the answer; after what DVC says to
it come that word and its exit code. DVC answers, records and fails as it always does; what it would
do over and over it does once. It loads for a second and a half; it reads params.yaml anew for every
stage; and after `commit` of several stages it reads dvc.yaml and dvc.lock anew for each and writes
dvc.lock as often. And dvc.lock, which grows with every month, it reads for its content alone, also
before it writes there: a comment in it is lost. The subtle point: what is kept of a file is kept by
its text, so a file that changes is read again.
"""

from __future__ import annotations

import copy
import json
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO

from pipeline.children import bind

LOCK = "dvc.lock"
"""No person writes in it; to keep comments DVC reads it in twice the time before it writes."""


def reading_once(parse: Callable[..., Any]) -> Callable[..., Any]:
    """`parse_yaml` of DVC that remembers what plain YAML meant; each answer is a fresh copy."""
    known: dict[str, tuple[str, Any]] = {}

    def parsed(text: str | bytes, path: str, typ: str = "safe") -> Any:
        is_plain = typ == "safe" or os.path.basename(path) == LOCK
        if not is_plain or not isinstance(text, str):
            return parse(text, path, typ=typ)
        if path not in known or known[path][0] != text:
            known[path] = text, parse(text, path)
        return copy.deepcopy(known[path][1])

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

    given = command.args
    try:
        commit_together(command.repo, given.targets, force=given.force, relink=given.relink)
    except DvcException:
        logging.getLogger("dvc").exception("failed to commit")
        return 1
    return 0


def request(words: Sequence[str], environment: Mapping[str, str], end: str) -> str:
    """The line that asks for one command of DVC.

    `end`: stands before the exit code, so nothing that DVC or a stage says may hold it.
    """
    return json.dumps({"words": list(words), "environment": dict(environment), "end": end}) + "\n"


def main() -> None:
    """Run the commands that are asked for, one after the other, until nobody asks any more."""
    bind()
    asked = lines_of_our_own()
    from dvc.cli import main as dvc  # after the binding: it loads for a second
    from dvc.commands.commit import CmdCommit
    from dvc.utils import strictyaml
    from dvc.utils.serialize import _yaml

    _yaml.parse_yaml = strictyaml.parse_yaml = reading_once(_yaml.parse_yaml)
    CmdCommit.run = _commit
    for line in asked:
        task = json.loads(line)
        os.environ.clear()
        os.environ.update(task["environment"])
        code = dvc(task["words"])
        sys.stderr.flush()
        print(f"{task['end']} {code}", flush=True)


def lines_of_our_own() -> TextIO:
    """Standard input, which no stage inherits: to stages it is empty."""
    asked, nothing = os.dup(0), os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return os.fdopen(asked, encoding="utf-8")


if __name__ == "__main__":
    main()
