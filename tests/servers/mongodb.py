"""A server that speaks MongoDB's protocol: mongod where there is one, or else FerretDB."""

import shutil
import signal

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from servers.server import ROOT, Server, UnavailableError

FERRETDB = ROOT / ".servers" / "ferretdb"


class Mongo(Server):
    errors = (PyMongoError,)
    ending = signal.SIGKILL  # FerretDB waits for its clients, however long

    def __init__(self):
        self._mongod = shutil.which("mongod")
        if self._mongod is None and not FERRETDB.exists():
            raise UnavailableError("neither mongod nor FerretDB is here; see tests/servers/install")
        super().__init__()
        (self.folder / "data").mkdir()

    def command(self):
        data = f"{self.folder}/data/"
        if self._mongod is None:
            return [FERRETDB, f"127.0.0.1:{self.port}", data]
        return [self._mongod, "--dbpath", data, "--port", str(self.port), "--bind_ip", "127.0.0.1"]

    def ping(self):
        url = f"mongodb://127.0.0.1:{self.port}/"
        with MongoClient(url, serverSelectionTimeoutMS=500) as client:
            client.admin.command("ping")

    def url(self, name):
        return f"mongodb://127.0.0.1:{self.port}/{name}"
