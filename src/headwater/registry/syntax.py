"""Judges a change of code that is kept and not run, by syntax trees alone."""

from __future__ import annotations

import ast

from headwater.registry.judging import Judged
from headwater.registry.records import FeatureRecord, Transformation
from headwater.registry.versions import judge

_UNKNOWN = "its code changes; whether its values do can't be judged, since none are computed"


def judged_code(before: FeatureRecord, after: FeatureRecord) -> Judged:
    """What another record of a feature without values deserves, as far as its texts tell."""
    old, new = before.transformation, after.transformation
    if old is None and new is not None:
        return Judged("minor", "code is added")
    if not same_code(old, new):
        return Judged("major", _UNKNOWN, is_certain=False)
    if old != new:
        return Judged("patch", "the same code, spelled otherwise")
    rules = before.validation_rules != after.validation_rules
    bump = judge(data=False, serving=False, rules=rules)
    return Judged(bump, "the same code, other validation rules" if rules else "")


def same_code(before: Transformation | None, after: Transformation | None) -> bool:
    """Whether two transformations have equal syntax trees and parameters."""
    if before is None or after is None:
        return before is after
    if (before.transformation_type, before.parameters) != (
        after.transformation_type,
        after.parameters,
    ):
        return False
    return before.code == after.code or _tree(before) == _tree(after)


def _tree(found: Transformation) -> str:
    """A text that two codes of one meaning share; the code itself where it can't be parsed."""
    if found.transformation_type == "sql":
        return _sql_tree(found.code)
    try:
        return ast.dump(ast.parse(found.code))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return found.code


def _sql_tree(code: str) -> str:
    """That of an expression as features have it, else that of any statement in DuckDB's dialect."""
    from headwater.errors import ExpressionError
    from headwater.expressions.parse import parse
    from headwater.expressions.printing import canonical

    try:
        return canonical(parse(code, "transformation"))
    except ExpressionError:
        return _statement(code)


def _statement(code: str) -> str:
    from sqlglot import parse_one
    from sqlglot.errors import SqlglotError

    try:
        return parse_one(code, dialect="duckdb").sql(dialect="duckdb", comments=False)
    except (SqlglotError, ValueError, RecursionError):
        return code
