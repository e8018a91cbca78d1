import json
import textwrap

from headwater.definitions.rules import ValidationRule
from headwater.registry.build import build_plan
from headwater.registry.explain import explain, summarize, to_dict
from registry.samples import analyze, feature, service, view


def project(expression="sum(x)", **fields):
    return analyze(
        [
            view("ads", feature("a", expression), feature("b", **fields)),
            view("rates", feature("c", "a / b", window=None), source=None),
        ],
        services=[service("ranker", "c")],
    )


def short(text, *desired):
    """The text with the beginnings of revisions replaced by readable names."""
    for number, analyzed in enumerate(desired, 1):
        for name, made in analyzed.views.items():
            text = text.replace(made.revision[:12], f"{name}{number}")
    return text


def test_a_first_plan(registry):
    plan = build_plan(registry, "demo", project())
    assert short(explain(plan), project()) == textwrap.dedent(
        """\
        Project demo: generation 0 -> 1

        + entity user
        + source events
        + view ads
          + feature a 1.0.0 (float64)
          + feature b 1.0.0 (float64)
        + view rates
          + feature c 1.0.0 (float64)
        + service ranker

        Revisions:
          + ads ads1 (new: added a, b)
          + rates rates1 (new: added c)

        To compute afterwards:
          ads ads1 (new revision)

        Notes:
          note on ads
          note on rates

        Summary: 3 features, 2 views, 1 service, 1 source, 1 entity added."""
    )
    assert str(plan) == explain(plan)


def test_a_plan_of_changes(registry, apply):
    apply(project())
    desired = project("avg(x)", description="of x")
    plan = build_plan(registry, "demo", desired)
    assert short(explain(plan), project(), desired) == textwrap.dedent(
        """\
        Project demo: generation 1 -> 2

        ~ view ads
          ~ feature a 1.0.0 -> 2.0.0 (major: its values change: expression)
              expression: "sum(x)" -> "avg(x)"
              downstream features: c
              downstream services: ranker
          ~ feature b 1.0.0 (the same values: only description)
              description: (none) -> "of x"
          view rates
          ~ feature c 1.0.0 -> 2.0.0 (major: its values change: input a)
              downstream services: ranker

        Revisions:
          + ads ads2 (new: changed a)
          - ads ads1 (retired: nothing reads it)
          + rates rates2 (new: changed c)
          - rates rates1 (retired: nothing reads it)

        To compute afterwards:
          ads ads2 (new revision)

        Notes:
          note on ads
          note on rates

        Summary: 3 features, 1 view changed."""
    )


def test_a_plan_that_changes_nothing_is_one_line(registry, apply):
    apply(project())
    plan = build_plan(registry, "demo", project())
    assert explain(plan) == "Project demo: no changes (generation 1)"
    assert summarize(plan) == "no changes"


def test_errors_are_listed(registry):
    desired = analyze([view("ads", feature("a", validation_rules=[ValidationRule("psi")]))])
    text = explain(build_plan(registry, "demo", desired))
    assert "Errors: this plan can't be applied:\n  feature 'a': field 'validation_rules'" in text


def test_removals_are_shown_with_the_version_that_goes(registry, apply):
    apply(project())
    text = explain(build_plan(registry, "demo", analyze([view("ads", feature("a"))])))
    assert "  - feature b 1.0.0\n" in text
    assert "- view rates\n  - feature c 1.0.0\n- service ranker\n" in text


def test_long_values_are_cut(registry, apply):
    apply(project())
    desired = project("sum(" + "x + " * 40 + "x)")
    text = explain(build_plan(registry, "demo", desired))
    (line,) = [line for line in text.splitlines() if "expression:" in line]
    assert line.endswith("...")
    assert len(line) < 100


def test_the_dictionary_says_the_same_without_what_only_apply_needs(registry, apply):
    apply(project())
    plan = build_plan(registry, "demo", project("avg(x)"))
    found = json.loads(json.dumps(to_dict(plan)))
    assert found["summary"] == summarize(plan)
    assert found["has_changes"] is True
    assert found["base_generation"] == 1
    assert found["features"][0]["bump"] == "major"
    assert found["features"][0]["fields"] == [
        {"field": "expression", "old": "sum(x)", "new": "avg(x)"}
    ]
    assert not {"head", "puts"} & found.keys()
