"""The learned parameters that rates are drawn towards: features without entity."""

from __future__ import annotations

from headwater.library.ads.family import Features, positive, windowed


def beta_prior(
    window: str = "90d", *, name: str, least: int = 10, most: float = 1_000.0
) -> Features:
    """The beta distribution of the rates of groups: `_mean` and `_strength` (alpha + beta).

    View: without entity, over a source with `trials` and `successes` (of `trials`), with a tick of
    its own (`update_frequency="daily"`): it is learned from what was known at the tick.
    Formula: the method of moments for groups of unequal size. With n trials and k successes a
    group and period, N = sum(n), p = sum(k) / N, m groups: gamma = (sum(k^2 / n) - N p^2 -
    p (1 - p) (m - 1)) / (p (1 - p) (N - sum(n^2) / N - (m - 1))) is the correlation within groups;
    strength = 1 / gamma - 1, within 1 and `most`; `most` where groups differ by chance alone.
    Unit: mean a fraction, strength a number of trials: how many outweigh the prior.
    Null: with fewer than `least` groups (a group counts in each of its periods).
    Source: Kleinman, Proportions with Extraneous Variance, JASA 68 (1973); Griffiths, Maximum
    Likelihood Estimation for the Beta-Binomial Distribution, Biometrics 29 (1973).
    """
    positive("beta_prior: most", most)
    positive("beta_prior: least", least)
    some = "FILTER (WHERE trials > 0)"
    all_, won, groups = (f"sum(trials) {some}", f"sum(successes) {some}", f"count(*) {some}")
    mean = f"least({won} / {all_}, 1.0)"
    chance = f"{mean} * (1 - {mean})"
    squares = f"sum(successes * successes / trials) {some}"
    beyond = f"{squares} - {won} * {mean} - {chance} * ({groups} - 1)"
    possible = f"{chance} * ({all_} - sum(trials * trials) {some} / {all_} - ({groups} - 1))"
    weight = f"least(greatest(({possible}) / ({beyond}) - 1, 1.0), {most})"
    strength = f"CASE WHEN {beyond} > 0 THEN {weight} ELSE {most} END"
    enough = f"CASE WHEN {groups} >= {least} THEN {{}} END"
    return (
        windowed(f"{name}_mean", enough.format(mean), "Rate of all groups", window),
        windowed(
            f"{name}_strength",
            enough.format(strength),
            "Trials that weigh as much as what is known of all groups",
            window,
        ),
    )
