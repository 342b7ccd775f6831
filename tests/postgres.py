"""A PostgreSQL server of the tests' own: started for them, ended with them, never the system's.

Its files lie in a folder of its own below the system's folder for temporary files, because the path
of a Unix socket may have 107 characters at most. It listens on that socket alone, but for tests of
passwords, which need an address: then also on a free port of the loopback.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

START_SECONDS = 60
MISSING = "PostgreSQL's server is not here (Debian: postgresql)"
NOBODY = "nobody"
PASSWORD = "canary-5e1f-pássword"
SETTINGS = {
    "fsync": "off", "full_page_writes": "off", "shared_buffers": "16MB", "autovacuum": "off",
    "max_connections": "20", "lc_messages": "C", "timezone": "Asia/Tokyo", "datestyle": "'German'",
}  # fmt: skip
"""Fast, and with habits of its own: what is read may not depend on them."""

EMPTY = r"""
DO $$ DECLARE found text; BEGIN
  FOR found IN SELECT nspname FROM pg_namespace
    WHERE nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema'
  LOOP EXECUTE format('DROP SCHEMA %I CASCADE', found); END LOOP;
  CREATE SCHEMA public;
  GRANT USAGE ON SCHEMA public TO public;
END $$
"""


def programs() -> Path | None:
    """The folder of initdb and pg_ctl, the newest version's; None when it is not installed."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3])
    )
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


@dataclass
class Server:
    """A server and its process."""

    folder: Path
    port: int
    programs: Path
    process: subprocess.Popen[bytes] | None = None

    def address(self, database: str, user: str = "postgres") -> str:
        """The address of a database over the socket, where every user is trusted."""
        host = str(self.folder).replace("/", "%2F")
        return f"postgresql://{user}@{host}:{self.port}/{database}"

    def with_password(self, database: str, user: str, password: str) -> str:
        """The address of a database over the loopback, where a password is asked."""
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def execute(self, database: str, *statements: str) -> None:
        """Run statements as the owner, each at once in force."""
        with psycopg.connect(self.address(database), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)  # type: ignore[arg-type]

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """The name of a database that is empty at first; one test at a time."""
        self.execute("postgres", EMPTY)
        yield "postgres"
        self.execute("postgres", EMPTY)

    def start(self) -> None:
        """Start it (again); it dies with the process of the tests, however that ends."""
        command = [str(self.programs / "postgres"), "-D", str(self.folder / "data")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*_owner("--pdeathsig=INT"), *command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
            )  # fmt: skip
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                return psycopg.connect(self.address("postgres")).close()
            except psycopg.OperationalError:
                words = (self.folder / "log").read_text(encoding="utf-8", errors="replace")
                assert self.process.poll() is None, f"PostgreSQL did not start:\n{words}"
                assert time.monotonic() < until, f"PostgreSQL is not ready:\n{words}"
                time.sleep(0.05)

    def stop(self) -> None:
        """End it at once, as when a machine goes down."""
        if self.process:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(START_SECONDS)


@contextlib.contextmanager
def served() -> Iterator[Server]:
    """A server for the block; it is ended and its files are removed afterwards."""
    found = programs()
    assert found is not None, MISSING
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        if os.geteuid() == 0:
            owner = pwd.getpwnam(NOBODY)
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        initdb = [found / "initdb", "-D", folder / "data", "-U", "postgres", "--encoding=UTF8"]
        _as_owner([*initdb, "--locale=C", "--auth-local=trust", "--auth-host=scram-sha-256", "-N"])
        server = Server(folder, _free_port(), found)
        _as_owner(["tee", "-a", folder / "data" / "postgresql.conf"], _configuration(server))
        stack.callback(server.stop)
        server.start()
        yield server


def _configuration(server: Server) -> str:
    chosen = SETTINGS | {
        "port": str(server.port),
        "listen_addresses": "'127.0.0.1'",
        "unix_socket_directories": f"'{server.folder}'",
    }
    return "".join(f"{name} = {value}\n" for name, value in chosen.items())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _as_owner(command: list[str | Path], text: str | None = None) -> None:
    """Run a program of the server; PostgreSQL refuses to be run by root."""
    words = [*_owner(), *(str(word) for word in command)]
    done = subprocess.run(
        words, input=text, capture_output=True, text=True, check=False, cwd="/", timeout=60
    )
    assert done.returncode == 0, f"{command[0]} failed:\n{done.stdout}\n{done.stderr}"


def _owner(*more: str) -> list[str]:
    """What stands before a command so that it is not run by root."""
    if os.geteuid() == 0:
        more = (f"--reuid={NOBODY}", "--regid=nogroup", "--clear-groups", *more)
    return ["setpriv", *more, "--"] if more else []
