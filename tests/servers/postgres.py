"""PostgreSQL from the system's packages, without fsync: no test outlives a power cut."""

import os
import pwd
import re
import shutil
import subprocess
from pathlib import Path

import psycopg

from servers.server import Server, UnavailableError


class Postgres(Server):
    errors = (psycopg.OperationalError,)

    def __init__(self):
        self._bin = _binaries()
        super().__init__()
        self.user = _other_user()
        if self.user is not None:
            shutil.chown(self.folder, self.user)
        make = [self._bin / "initdb", "-D", self.folder / "data", "-U", "headwater"]
        options = ["--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"]
        subprocess.run(
            [*make, *options], check=True, user=self.user, cwd=self.folder, capture_output=True
        )

    def command(self):
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "fsync": "off",
            "max_connections": 50,
            "shared_buffers": "32MB",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [self._bin / "postgres", "-D", self.folder / "data", *options]

    def ping(self):
        self.execute("SELECT 1")

    def execute(self, sql):
        where = f"host=127.0.0.1 port={self.port} user=headwater dbname=postgres"
        with psycopg.connect(where, autocommit=True, connect_timeout=5) as connection:
            connection.execute(sql)

    def url(self, name):
        """A user with a schema of its own: a database has 7 MB of files, a schema none."""
        self.execute(
            f'CREATE ROLE "{name}" LOGIN; CREATE SCHEMA "{name}" AUTHORIZATION "{name}"; '
            f'ALTER ROLE "{name}" SET search_path = "{name}"'
        )
        return f"postgresql://{name}@127.0.0.1:{self.port}/postgres"


def _binaries():
    """The folder of the newest installed server."""
    folders = [p.parent for p in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    folders.sort(key=lambda folder: int(re.sub(r"\D", "", folder.parent.name) or 0))
    on_path = shutil.which("initdb")
    if on_path:
        folders.insert(0, Path(on_path).resolve().parent)
    if not folders:
        raise UnavailableError("PostgreSQL is not installed; see tests/servers/install")
    return folders[-1]


def _other_user():
    """PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
