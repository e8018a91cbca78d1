"""A sample of a spine's negatives, drawn row by row from what the row holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from headwater.compute.relations import Relation
from headwater.errors import SpineError
from headwater.expressions.printing import quote, quote_text

PROPENSITY, WEIGHT = "propensity", "weight"
_DIGITS = 16


@dataclass(frozen=True)
class NegativeSample:
    """All rows whose label is true or 1, and of the others those that are drawn.

    A row is drawn where the first 16 hexadecimal digits of the MD5 of its text, as a fraction, are
    less than the rate. The text is the seed, then for each of `keys` in the order of their names
    `|`, the number of letters of the value as text, `:` and that text, or `-` for null.
    """

    rows: Relation
    label: str
    keys: Sequence[str]
    seed: int

    def check(self) -> None:
        """Raises SpineError for columns that are missing, taken, or no label."""
        self.rows.check((self.label,), "label=")
        self.rows.check(self.keys, "keys=")
        kind = self.rows.types[self.label]
        if not (pa.types.is_boolean(kind) or pa.types.is_integer(kind)):
            raise SpineError(
                f"spine: column '{self.label}' is {kind}; a label is a bool, or 0 and 1"
            )
        taken = next((n for n in (PROPENSITY, WEIGHT) if n in self.rows.types), None)
        if taken is not None:
            raise SpineError(
                f"spine: column '{taken}' would be there twice; rename it, or sample the rows that "
                "were not sampled yet"
            )

    def counts(self) -> str:
        """SQL that counts rows without label, with another than 0 and 1, positives, negatives."""
        label = f"CAST({quote(self.label)} AS BIGINT)"
        wrong = f"count(*) FILTER (WHERE {label} NOT IN (0, 1)) AS wrong"
        null = f"count(*) FILTER (WHERE {label} IS NULL) AS unlabelled"
        each = [f"count(*) FILTER (WHERE {label} = {n}) AS {name}" for n, name in enumerate(_KINDS)]
        return f"SELECT {', '.join([null, wrong, *each])} FROM {self.rows.sql}"

    def sql(self, rate: float) -> str:
        """SQL for the sample at a rate in (0, 1], with each row's propensity and weight."""
        positive = f"CAST({quote(self.label)} AS BIGINT) = 1"
        names = ", ".join(f"{self.rows.column(n)} AS {quote(n)}" for n in self.rows.types)
        drawn = "true" if rate >= 1 else f"{self._fraction()} < '{int(rate * 16**_DIGITS):016x}'"
        propensity = f"CASE WHEN {positive} THEN 1.0::DOUBLE ELSE {rate!r}::DOUBLE END"
        return (
            f"SELECT {names}, {propensity} AS {PROPENSITY}, 1 / ({propensity}) AS {WEIGHT} "
            f"FROM {self.rows.sql} WHERE {positive} OR {drawn}"
        )

    def _fraction(self) -> str:
        """SQL for the digits that are compared: as texts of one length they sort as numbers."""
        texts = [self.rows.text(name) for name in sorted(self.keys)]
        parts = [f"coalesce('|' || length({text}) || ':' || {text}, '|-')" for text in texts]
        return f"substr(md5({' || '.join([quote_text(str(self.seed)), *parts])}), 1, {_DIGITS})"


_KINDS = ("negatives", "positives")
