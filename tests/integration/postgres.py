"""A throw-away PostgreSQL for tests, made from the machine's own binaries (Debian: package ``postgresql``).

It knows nothing of Airflow. The cluster lives in a temporary directory of its own, listens on a Unix socket in that
directory and on nothing else, gives up durability for speed, and is gone without a trace at the end of the ``with``
block. PostgreSQL refuses to run as root, so under root it runs as the user ``postgres`` (or ``nobody``).
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.integration.temporary_server import TemporaryServer

DATABASE_USER = "airflow"

# fsync and its kin: the cluster does not outlive the test. jit: Airflow's short queries only pay for it.
SERVER_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "jit": "off",
}


class PostgresError(RuntimeError):
    """PostgreSQL is missing, or did not start; the message holds the end of its log."""


class TemporaryPostgres(TemporaryServer):
    """A PostgreSQL server of its own, from ``__enter__`` to ``__exit__``.

    ``url`` is its address for SQLAlchemy with psycopg2; Airflow derives the one for asyncpg from it.
    """

    def __init__(self) -> None:
        self._binaries = find_binaries()
        self._identity = _unprivileged_identity()

    @property
    def url(self) -> str:
        return f"postgresql+psycopg2://{DATABASE_USER}@/postgres?host={self._folder}"

    @property
    def folder(self) -> Path:
        """Where everything of it lies."""
        return self._folder

    def _prepare(self) -> None:
        self._folder = _make_folder(self._identity)

    def _make_cluster(self) -> None:
        options = ["--auth=trust", f"--username={DATABASE_USER}", "--encoding=UTF8", "--locale=C", "--no-sync"]
        made = subprocess.run(
            [str(self._binaries / "initdb"), f"--pgdata={self._data}", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            **self._as_unprivileged_user,
        )
        if made.returncode:
            raise PostgresError(f"initdb ended with {made.returncode}:\n{made.stdout}")

    def _start(self) -> None:
        self._make_cluster()
        settings = {**SERVER_SETTINGS, "unix_socket_directories": str(self._folder)}
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [str(self._binaries / "postgres"), "-D", str(self._data), *arguments]
        self._spawn(command, self._log, **self._as_unprivileged_user)
        self._wait_until(
            self._is_ready,
            lambda: PostgresError(f"PostgreSQL did not start:\n{self._log.read_text(errors='replace')[-4000:]}"),
        )

    def _is_ready(self) -> bool:
        # The server keeps its status in the last line: https://www.postgresql.org/docs/current/storage-file-layout.html
        with contextlib.suppress(FileNotFoundError):
            return (self._data / "postmaster.pid").read_text().rstrip().endswith("ready")
        return False

    def _stop(self, server: subprocess.Popen[bytes]) -> None:
        # SIGQUIT is the "immediate shutdown": it ends every backend and frees the shared memory.
        server.send_signal(signal.SIGQUIT)
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()

    def _clean_up(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    @property
    def _log(self) -> Path:
        return self._folder / "postgres.log"

    @property
    def _as_unprivileged_user(self) -> dict[str, Any]:
        """Arguments of ``subprocess``: a small environment, a working directory it may enter, and another user."""
        common: dict[str, Any] = {
            "cwd": self._folder,
            "env": {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
        }
        if self._identity is None:
            return common
        return {**common, "user": self._identity.pw_uid, "group": self._identity.pw_gid, "extra_groups": []}


def find_binaries() -> Path:
    """The folder with ``initdb`` and ``postgres``; Debian keeps them out of the PATH. The newest version wins."""
    for folder in _candidates():
        if all(os.access(folder / name, os.X_OK) for name in ("initdb", "postgres")):
            return folder
    raise PostgresError("No PostgreSQL server found. On Debian and Ubuntu: apt-get install postgresql")


def _candidates() -> Iterator[Path]:
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version_in_path, reverse=True)
    if pg_config := shutil.which("pg_config"):
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            answer = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=True)
            yield Path(answer.stdout.strip())
    if initdb := shutil.which("initdb"):
        yield Path(initdb).resolve().parent


def _version_in_path(path: Path) -> list[int]:
    return [int(number) for number in path.parent.name.split(".") if number.isdigit()]


def _unprivileged_identity() -> pwd.struct_passwd | None:
    """Whom to become before running PostgreSQL: nobody else, unless we are root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise PostgresError("PostgreSQL refuses to run as root, and there is no user 'postgres' or 'nobody'")


def _make_folder(identity: pwd.struct_passwd | None) -> Path:
    """A private folder that belongs to the user who runs the server, under a path that this user can walk.

    It is not made inside Airflow's home or pytest's ``tmp_path``: both are closed to other users, and too long for the
    107 bytes that the name of a Unix socket may have.
    """
    for parent in (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")):
        if identity is None or _open_to_all(parent.resolve()):
            folder = Path(tempfile.mkdtemp(prefix="pg-", dir=parent))
            if identity is not None:
                os.chown(folder, identity.pw_uid, identity.pw_gid)
            return folder
    raise PostgresError("No temporary directory that the user of PostgreSQL could enter")


def _open_to_all(folder: Path) -> bool:
    return all(path.is_dir() and path.stat().st_mode & stat.S_IXOTH for path in (folder, *folder.parents))
