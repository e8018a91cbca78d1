"""Who fits to what: users against the targets of campaigns and the keywords of ads."""

from __future__ import annotations

from headwater.library.ads.family import Features, derived
from headwater.library.ads.schema import Keywords, Profile, Target


def user_profile(profile: Profile, *, of: str = "user") -> Features:
    """What is known of a user: `_age`, `_income`, `_interests`, and `_embedding` if there is one.

    View: of the user, over the profiles: the latest row known.
    Formula: the columns.
    Unit: categories, a list, a vector.
    Null: where the column is, and for users without a profile.
    Source: none.
    """
    return _columns(
        of,
        {
            "age": (profile.age, "categorical"),
            "income": (profile.income, "categorical"),
            "interests": (profile.interests, None),
            "embedding": (profile.embedding, "embedding"),
        },
    )


def campaign_target(target: Target, *, of: str = "campaign_target") -> Features:
    """Whom a campaign wants: `_ages`, `_incomes`, `_interests`, and `_embedding` if there is one.

    View: of the campaign, over its settings: the latest row known.
    Formula: the columns.
    Unit: lists, a vector.
    Null: where the column is, and for campaigns without settings.
    Source: none.
    """
    return _columns(
        of,
        {
            "ages": (target.ages, None),
            "incomes": (target.incomes, None),
            "interests": (target.interests, None),
            "embedding": (target.embedding, "embedding"),
        },
    )


def ad_keywords(keywords: Keywords, *, of: str = "ad") -> Features:
    """What an ad is about: `_keywords`, and `_embedding` if there is one.

    View: of the ad, over its settings: the latest row known.
    Formula: the columns.
    Unit: a list, a vector.
    Null: where the column is, and for ads without settings.
    Source: none.
    """
    return _columns(
        of,
        {
            "keywords": (keywords.keywords, None),
            "embedding": (keywords.embedding, "embedding"),
        },
    )


def audience_similarity(
    user: Features, target: Features, *, name: str = "audience_similarity"
) -> Features:
    """How well a user fits what a campaign targets; where both have one, `_embedding`: the cosine.

    View: without a source, of an entity with the keys of user and campaign; it reads `user` (of
    `user_profile`) and `target` (of `campaign_target`).
    Formula: the mean of three parts: 1 if the age is targeted, 1 if the income is, and the share of
    the user's interests that are targeted. A target that lists nothing wants everybody: 1.
    Unit: 0 to 1; the cosine -1 to 1.
    Null: where age, income or interests are unknown on either side; the cosine without an
    embedding, or where one is 0. A user without interests has the share 0.
    Source: Manning, Raghavan, Schuetze, Introduction to Information Retrieval (2008), 6.3 and 16.3.
    """
    age, income, interests = (feature.name for feature in user[:3])
    ages, incomes, wanted = (feature.name for feature in target[:3])
    parts = " + ".join(
        (
            _if_any(ages, f"CASE WHEN list_contains({ages}, {age}) THEN 1.0 ELSE 0.0 END", age),
            _if_any(
                incomes,
                f"CASE WHEN list_contains({incomes}, {income}) THEN 1.0 ELSE 0.0 END",
                income,
            ),
            _if_any(wanted, _share(interests, wanted), interests),
        )
    )
    fit = derived(name, f"({parts}) / 3", "Fit of the user to what is targeted, 0 to 1")
    return (fit, *_cosine(name, user[3:], target[3:]))


def keyword_relevance(
    keywords: Features, user: Features, *, name: str = "keyword_relevance"
) -> Features:
    """How much of an ad a user is interested in; where both have one, `_embedding`: the cosine.

    View: without a source, of an entity with the keys of ad and user; it reads `keywords` (of
    `ad_keywords`) and `user` (of `user_profile`).
    Formula: the different keywords that are among the interests / the different keywords.
    Unit: 0 to 1; the cosine -1 to 1.
    Null: where keywords or interests are unknown, or there are no keywords; the cosine without an
    embedding, or where one is 0.
    Source: Broder et al., A Semantic Approach to Contextual Advertising, SIGIR 2007; Salton, Wong,
    Yang, A Vector Space Model for Automatic Indexing, CACM 18 (1975).
    """
    words, interests = keywords[0].name, user[2].name
    common = f"length(list_intersect({words}, {interests}))"
    exact = f"{common} / nullif(length(list_distinct({words})), 0)"
    share = derived(name, exact, "Share of the keywords that are interests")
    return (share, *_cosine(name, keywords[1:], user[3:]))


def _columns(of: str, columns: dict[str, tuple[str | None, str | None]]) -> Features:
    return tuple(
        derived(f"{of}_{name}", column, f"{name.capitalize()} of the {of}", value_kind=kind)
        for name, (column, kind) in columns.items()
        if column is not None
    )


def _if_any(wanted: str, part: str, known: str) -> str:
    """A part of the fit: null where either side is unknown, 1 where nothing is named."""
    return (
        f"CASE WHEN {wanted} IS NULL OR {known} IS NULL THEN NULL "
        f"WHEN length({wanted}) = 0 THEN 1.0 ELSE {part} END"
    )


def _share(interests: str, wanted: str) -> str:
    common = f"length(list_intersect({interests}, {wanted}))"
    return f"coalesce({common} / nullif(length(list_distinct({interests})), 0), 0.0)"


def _cosine(name: str, one: Features, other: Features) -> Features:
    """The cosine of two embeddings, if there are two."""
    if not one or not other:
        return ()
    cosine = f"array_cosine_similarity({one[0].name}, {other[0].name})"
    text = f"CASE WHEN NOT isnan({cosine}) THEN {cosine} END"
    return (derived(f"{name}_embedding", text, "Cosine of the embeddings"),)
