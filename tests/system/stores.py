"""What stands behind a service, to be looked at and changed behind its back: one class a backend.

    service.jobs.rows("SELECT state FROM conversion WHERE id=?", id)      SqliteTables, MysqlTables
    service.blobs.keys()                                                  FileBlobs, GridBlobs
    service.mails.texts()                                                 OutboxMails, SinkMails
"""
import json
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

# The tests of one machine run without the drivers of servers.
try:
    import pymongo
    import pymysql
except ImportError:
    pymongo = pymysql = None


class SqliteTables:
    def __init__(self, path: Path):
        self.path = path

    def rows(self, statement: str, *values) -> list[tuple]:
        """Reads or changes them."""
        with closing(sqlite3.connect(self.path, timeout=30)) as database, database:
            return database.execute(statement, values).fetchall()


class MysqlTables:
    def __init__(self, url: str):
        self.url = urlsplit(url)

    def rows(self, statement: str, *values) -> list[tuple]:
        connection = pymysql.connect(
            host=self.url.hostname, port=self.url.port, user=self.url.username,
            password=unquote(self.url.password), database=self.url.path[1:] or None,
            charset="utf8mb4", autocommit=True, connect_timeout=10, read_timeout=60)
        with connection, connection.cursor() as cursor:
            cursor.execute(statement.replace("%", "%%").replace("?", "%s") if values else statement,
                           values or None)
            return list(cursor.fetchall())


class FileBlobs:
    def __init__(self, root: Path):
        self.root = root

    def keys(self) -> set[str]:
        """Of all that is committed."""
        return {str(meta.parent.relative_to(self.root)) for kind in ("source", "audio")
                for meta in (self.root / kind).rglob("meta.json")}

    def names(self) -> set[str]:
        """Everything that holds bytes, unfinished blobs too."""
        return {str(path.relative_to(self.root)) for path in self.root.rglob("data")}

    def leavings(self, named: set[str]) -> list[str]:
        """What should not be there once all is done."""
        found = sorted(self.keys() - named)
        found += [str(p) for p in (self.root / "audio").iterdir() if not any(p.iterdir())]
        return found + [str(p) for p in (self.root / "incoming").iterdir()]

    def plant(self, key: str):
        """A committed blob of that key: a copy of another one."""
        template = next((self.root / key.split("/")[0]).rglob("meta.json"))
        target = self.root / key
        target.mkdir(parents=True)
        shutil.copy(template.with_name("data"), target)
        meta = json.loads(template.read_text())
        (target / "meta.json").write_text(json.dumps(meta | {"key": key}))


class GridBlobs:
    """Two buckets of GridFS, each with a collection of writers that have not finished."""

    BUCKETS = {"source": "videos", "audio": "mp3s"}

    def __init__(self, url: str):
        # A client outlives the tests that use it: it connects again by itself.
        self.database = pymongo.MongoClient(url, readConcernLevel="majority").get_default_database()

    def keys(self) -> set[str]:
        return self.distinct("files", "_id")

    def names(self) -> set[str]:
        return self.keys() | self.distinct("chunks", "files_id") | self.distinct("unfinished", "_id")

    def distinct(self, collection: str, field: str) -> set[str]:
        return {key for bucket in self.BUCKETS.values()
                for key in self.database[f"{bucket}.{collection}"].distinct(field)}

    def leavings(self, named: set[str]) -> list[str]:
        return sorted(self.names() - named) + sorted(self.distinct("unfinished", "_id"))

    def plant(self, key: str):
        bucket = self.BUCKETS[key.split("/")[0]]
        file = self.database[f"{bucket}.files"].find_one()
        chunks = list(self.database[f"{bucket}.chunks"].find({"files_id": file["_id"]}))
        for chunk in chunks:
            del chunk["_id"]
            chunk["files_id"] = key
        self.database[f"{bucket}.chunks"].insert_many(chunks)
        self.database[f"{bucket}.files"].insert_one(file | {"_id": key})


class OutboxMails:
    """A file a mail; one that is sent again has the same Message-ID and replaces its file."""

    def __init__(self, folder: Path):
        self.folder = folder

    def texts(self) -> list[str]:
        return [path.read_text() for path in sorted(self.folder.glob("*.eml"))]

    copies = texts

    def leavings(self) -> list[str]:
        return [str(path) for path in self.folder.iterdir() if path.suffix != ".eml"]


class SinkMails:
    """The folder of scripts/smtp_sink.py, which several services share: look for ids."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.read = {}

    def copies(self) -> list[str]:
        """Every mail that was handed over, also one that came twice."""
        for path in sorted(self.folder.glob("*.eml")):
            if path not in self.read:
                self.read[path] = path.read_text()
        return list(self.read.values())

    def texts(self) -> list[str]:
        """As a reader sees them: one with the same Message-ID is the same mail. Those of other tests
        may have none."""
        by_id = {}
        for text in self.copies():
            found = re.search(r"(?im)^message-id:\s*(\S+)", text)
            by_id[found[1] if found else text] = text
        return list(by_id.values())

    def leavings(self) -> list[str]:
        return []


def tables_of(url: str) -> SqliteTables | MysqlTables:
    return SqliteTables(Path(url[7:])) if url.startswith("sqlite:") else MysqlTables(url)


def blobs_of(url: str) -> FileBlobs | GridBlobs:
    return FileBlobs(Path(url[5:])) if url.startswith("file:") else GridBlobs(url)


def mails_of(url: str, sink_folder: str) -> OutboxMails | SinkMails:
    return OutboxMails(Path(url[7:])) if url.startswith("outbox:") else SinkMails(Path(sink_folder))
