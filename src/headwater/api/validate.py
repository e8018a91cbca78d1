"""Values against the rules of a feature, over REST."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from headwater.api import schemas
from headwater.api.fields import Values
from headwater.api.problems import documented
from headwater.api.routes import FeatureName, In, ProjectQuery, new_router

router = new_router()


class FeatureValuesValidate(BaseModel):
    """Values of a feature, as JSON: times as text in ISO form, bytes in base64."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    values: Values = Field(examples=[[71.5, None, 104.2]])


@router.post("/features/{feature_name}/validate", responses=documented(400, 413, 415))
async def validate_feature(
    feature_name: FeatureName,
    given: FeatureValuesValidate,
    query: Annotated[ProjectQuery, Query()],
    services: In,
) -> schemas.FeatureValidationResult:
    """Check values against the present rules of a feature; nothing is kept."""
    service = await services.service(query.project)
    return await service.validate_feature(feature_name, given.values)
