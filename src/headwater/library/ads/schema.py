"""What the library reads: the user's own columns, by the names that the formulas use.

Every field is a column of the source, or an expression over its columns.
"""

from __future__ import annotations

from dataclasses import dataclass

from headwater.library.columns import grouped, quoted, refuse_text


@dataclass(frozen=True, slots=True)
class Events:
    """Where a log has its columns, and how it spells the kinds of its events.

        Events(user="uid", kind="action", click="clk", amount="price_cents / 100.0")

    One row an event: an impression, a click, a conversion or a transaction. `amount` is the money
    of a transaction (a refund is below 0), `cost` what an event cost the advertiser. A click or a
    conversion carries the columns of the impression that led to it. `ignored` names other kinds
    that are meant to be there and count nowhere.
    """

    time: str = "event_time"
    kind: str = "event_type"
    user: str = "user_id"
    ad: str = "ad_id"
    campaign: str = "campaign_id"
    position: str = "position"
    device: str = "device"
    amount: str = "amount"
    cost: str = "cost"
    impression: str = "impression"
    click: str = "click"
    conversion: str = "conversion"
    transaction: str = "transaction"
    ignored: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        refuse_text("events: ignored", self.ignored)

    def where(self, what: str) -> str:
        """The condition of one kind: `impression`, `click`, `conversion` or `transaction`."""
        return f"{grouped(self.kind)} = {quoted(getattr(self, what))}"

    def number(self, what: str, condition: str = "") -> str:
        """How many events of one kind a window holds."""
        also = f" AND {condition}" if condition else ""
        return f"count(*) FILTER (WHERE {self.where(what)}{also})"

    @property
    def kinds(self) -> tuple[str, ...]:
        """How the log spells all kinds that it may hold."""
        return (
            *(self.impression, self.click, self.conversion, self.transaction),
            *self.ignored,
        )


@dataclass(frozen=True, slots=True)
class Sessions:
    """Visits, one row each, known when they end: seconds, pages, and pages with an interaction."""

    time: str = "started_at"
    seconds: str = "duration_s"
    pages: str = "page_views"
    interactions: str = "interactions"


@dataclass(frozen=True, slots=True)
class Auctions:
    """A report of auctions, by category and time: how many could be won, and how many were."""

    auctions: str = "auctions"
    won: str = "won"


@dataclass(frozen=True, slots=True)
class Profile:
    """Who somebody is: age and income as categories, interests as a list, and an embedding if any.

    An embedding is a vector of fixed length, of the same space as that of campaigns and ads.
    """

    age: str = "age_band"
    income: str = "income_level"
    interests: str = "interests"
    embedding: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a campaign wants: lists of ages, incomes and interests, and an embedding if any."""

    ages: str = "target_ages"
    incomes: str = "target_incomes"
    interests: str = "target_interests"
    embedding: str | None = None


@dataclass(frozen=True, slots=True)
class Keywords:
    """What an ad is about: a list of keywords, and an embedding if any."""

    keywords: str = "keywords"
    embedding: str | None = None
