"""What is particular to a registry in MongoDB."""

import random
import threading

import pytest
from msgspec.structs import replace

from headwater.errors import ConfigError, ConflictError, StoreError
from headwater.registry.changed import ChangedQuery, ChangedRow
from headwater.registry.changes import FeatureChange
from headwater.registry.head import Head
from headwater.registry.kinds import Commit, Revision
from headwater.registry.mongo_client import database, new_client
from registry.test_store import commit

pytestmark = pytest.mark.every_registry("mongodb")


@pytest.fixture
def documents(registry, url):
    """The database below the registry."""
    registry.projects()
    client = new_client(url)
    yield database(client)
    client.close()


def test_only_the_latest_generation_carries_a_head(registry, documents):
    for generation in range(1, 4):
        head = Head(generation, entities={"user": f"k{generation}"})
        registry.compare_and_set_head("demo", generation - 1, head, commit(generation))
    found = list(documents["commits"].find({}, {"generation": 1, "head": 1}))
    assert [d["generation"] for d in found if "head" in d] == [3]
    assert len(found) == 3


def test_of_threads_that_commit_one_generation_one_wins(registry):
    won = []

    def write(name):
        for generation in range(8):
            try:
                registry.compare_and_set_head(
                    "demo", generation, Head(generation + 1), commit(generation + 1, name)
                )
            except ConflictError:
                continue
            won.append((generation + 1, name))

    threads = [threading.Thread(target=write, args=(f"w{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({generation for generation, _ in won}) == len(won)
    logged = registry.list("demo", Commit)
    assert sorted(won) == sorted((c.generation, c.author) for c in logged)
    assert registry.head("demo").generation == len(won)


def test_what_is_too_large_for_a_document_is_refused(registry):
    noise = random.Random(1)
    keys = {f"e{n}": f"{noise.getrandbits(4_000):x}" for n in range(40_000)}
    with pytest.raises(StoreError, match=r"project 'demo': the head .* MongoDB keeps 16,000,000"):
        registry.compare_and_set_head("demo", 0, Head(1, entities=keys), commit(1))
    wide = Revision("r1", "v", (), stored=True, views={"v": "x" * 17_000_000})
    with pytest.raises(StoreError, match="project 'demo': revision 'r1' has 17,"):
        registry.put("demo", [wide])
    assert registry.projects() == ()


def test_a_newer_registry_is_refused(registry, documents):
    documents["schema"].update_one({"_id": "headwater"}, {"$set": {"format": 42}})
    registry.close()
    with pytest.raises(ConfigError, match=r"newer Headwater \(format 42.*upgrade"):
        registry.head("demo")


def test_indexed_fields_have_indexes(documents):
    keys = [tuple(index["key"]) for index in documents["runs"].list_indexes()]
    assert ("project", "started_at", "key") in keys
    assert ("project", "status", "started_at", "key") in keys


def test_commits_of_an_earlier_version_are_found_by_what_they_changed(registry, documents):
    added = FeatureChange("added", "a", "", new_version="1.0.0")
    made = replace(commit(1), features=(added,))
    registry.compare_and_set_head("demo", 0, Head(1), made)
    documents["commits"].update_many({}, {"$unset": {"changed": ""}})
    documents["schema"].update_many({}, {"$set": {"indexes": ""}})
    registry.close()
    rows, total = registry.changed("demo", ChangedQuery(name="a"))
    assert (rows, total) == ((ChangedRow(1, "feature", "a", "create"),), 1)
