"""The service in Python: the same verbs as over REST, each documented, the loop left free."""

import asyncio
import inspect
import re
from pathlib import Path

import pytest

from headwater.api.schemas import FeatureCreate, FeatureUpdate
from headwater.api.service import FeatureStoreService
from headwater.errors import PreconditionError

REFERENCE = (Path(__file__).parents[2] / "docs" / "reference" / "python.md").read_text()
CODE = re.search(r"```python\n(import asyncio\n.*?)```", REFERENCE, re.DOTALL)[1]


def feature(name, *upstream):
    return FeatureCreate(
        feature_name=name, feature_type="raw", data_type="float", upstream_features=upstream
    )


def test_every_method_is_documented_and_asynchronous():
    public = {n: f for n, f in vars(FeatureStoreService).items() if not n.startswith("_")}
    assert len(public) == 16
    for name, method in public.items():
        assert inspect.iscoroutinefunction(method)
        assert f"`{name}`" in REFERENCE


def test_the_code_of_the_reference_runs(tmp_path, monkeypatch, capsys):
    (tmp_path / "headwater.toml").write_text('project = "quant"\n')
    monkeypatch.chdir(tmp_path)
    exec(CODE, {})
    assert capsys.readouterr().out == "active\n"


async def test_what_changed_since_it_was_read_is_not_overwritten(projects):
    service = await projects.service(None)
    seen = await service.create_feature(feature("x"))
    await service.update_feature("x", FeatureUpdate(description="mine"), expected=seen.etag)
    with pytest.raises(PreconditionError):
        await service.update_feature("x", FeatureUpdate(tags=["a"]), expected=seen.etag)
    assert (await service.get_feature("x")).description == "mine"


async def test_sixteen_writers_at_once_lose_nothing(projects):
    service = await projects.service(None)
    await service.create_feature(feature("base"))
    names = [f"f{number}" for number in range(16)]
    await asyncio.gather(*(service.create_feature(feature(name, "base")) for name in names))
    found = await service.get_feature("base")
    assert sorted(found.downstream_features) == sorted(names)
    assert (await service.list_features()).total == 17
