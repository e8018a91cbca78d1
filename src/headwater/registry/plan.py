"""A plan: what an apply will change, why, and what has to be computed afterwards. Plain data.

`build.build_plan` makes it, `explain` prints it, `apply.apply_plan` executes it.
"""

from __future__ import annotations

import msgspec

from headwater.errors import DefinitionError
from headwater.registry.changes import Backfill, FeatureChange, ObjectChange, RevisionChange
from headwater.registry.head import Head
from headwater.registry.kinds import Packed


class Plan(msgspec.Struct, frozen=True):
    """The way of a project from one generation to the next.

    `objects`, `features` and `revisions` say what changes, `backfills` what has to be computed
    afterwards, `notes` what the user should know, `errors` why it can't be applied. `head` is the
    head that the apply sets, `puts` are the immutable objects that it needs.
    """

    project: str
    base_generation: int
    head: Head
    objects: tuple[ObjectChange, ...] = ()
    features: tuple[FeatureChange, ...] = ()
    revisions: tuple[RevisionChange, ...] = ()
    backfills: tuple[Backfill, ...] = ()
    notes: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    puts: tuple[Packed, ...] = ()

    @property
    def has_changes(self) -> bool:
        return self.head.generation != self.base_generation

    def __str__(self) -> str:
        from headwater.registry.explain import explain

        return explain(self)


_decoder = msgspec.json.Decoder(Plan)


def encode_plan(plan: Plan) -> str:
    """The plan as JSON text, complete, for a file that is applied later."""
    return msgspec.json.encode(plan).decode()


def decode_plan(text: str) -> Plan:
    """The plan that `encode_plan` wrote. Raises DefinitionError."""
    try:
        return _decoder.decode(text)
    except msgspec.MsgspecError as error:
        raise DefinitionError(f"plan: the text is not that of a plan: {error}") from None
