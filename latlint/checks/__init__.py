"""The rules, one module each: its docstring is its page, ``RULE`` its identity, and a function what it looks for.

``check(subject)`` looks at one model on one target, ``compare(comparison)`` at what a model took before a change, ``sweep(leftovers)`` at
what is of no use when all models were seen. A module without any of them documents a rule that is raised elsewhere: by the readers, or
where the configuration is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from latlint.checks._causes import gathered
from latlint.checks._selection import graded, reach, refuse_unknown, selected
from latlint.checks._selection import severity as severity
from latlint.checks.types import SEVERITIES, Comparison, Finding, Leftovers, Rule, Subject, fingerprint
from latlint.records import NamedTuple, replace
from latlint.settings import Settings

_NO_RULES = frozenset({"budgets", "docs", "types", "view"})
_FUNCTIONS = "check", "compare", "sweep"


_Look = Callable[[Subject], Iterator[Finding]]


@cache
def _page(docstring: str) -> str:
    import inspect  # takes as long to import as all rules

    return inspect.cleandoc(docstring)


class Check(NamedTuple):
    """A rule with the docstring and the functions of its module."""

    rule: Rule
    docstring: str
    run: _Look | None
    compare: Callable[[Comparison], Iterator[Finding]] | None = None
    sweep: Callable[[Leftovers], Iterator[Finding]] | None = None

    @property
    def page(self) -> str:
        """Its page, in Markdown."""
        return _page(self.docstring)

    @property
    def summary(self) -> str:
        """The page's first line."""
        return self.page.partition("\n")[0]

    @property
    def unbending(self) -> bool:
        """Whether it ends the reading of a file or of the configuration: no setting makes that less than an error."""
        return self.run is None and self.rule.code.startswith(("LAT0", "LAT901", "LAT902", "LAT903"))


@cache
def checks() -> tuple[Check, ...]:
    """Every rule, sorted by code: one for each module of this package that is not shared by them."""
    names = [module.name for module in iter_modules(__path__) if module.name not in _NO_RULES]
    modules = [import_module(f"{__name__}.{name}") for name in names if not name.startswith("_")]
    found = [
        Check(module.RULE, module.__doc__ or "", *(getattr(module, name, None) for name in _FUNCTIONS))
        for module in modules
    ]
    return tuple(sorted(found, key=lambda check: check.rule.code))


def by_code(code: str) -> Check | None:
    """The rule with this code, or with this name."""
    wanted = code.casefold()
    return next((check for check in checks() if wanted in (check.rule.code.casefold(), check.rule.name)), None)


def refuse_unknown_rules(settings: Settings) -> None:
    """LatlintError for a rule that the settings name and that there is not, or that no setting bends."""
    stated = (*settings.select, *settings.ignore, *settings.per_model_ignores, *settings.severities)
    if stated != ("LAT",) or settings.waivers:
        refuse_unknown(
            settings, (check.rule for check in checks()), (check.rule for check in checks() if check.unbending)
        )


def named(selector: str) -> tuple[Rule, ...]:
    """The rules that ``selector`` names: a code, the beginning of one, or a name."""
    return tuple(check.rule for check in checks() if reach(check.rule, selector))


def would_run(selector: str, settings: Settings) -> bool:
    """Whether a run would have found what the rules that ``selector`` names find, because it goes by one of them, or because there are
    none of them any more."""
    rules = named(selector)
    return not rules or any(selected(rule, settings) for rule in rules)


def compare(comparison: Comparison) -> Iterator[Finding]:
    """What all rules find in what a model took before."""
    for check in checks():
        if check.compare:
            yield from _graded(check.rule, check.compare(comparison), comparison.settings)


def sweep(leftovers: Leftovers, settings: Settings) -> Iterator[Finding]:
    """What all rules find in what is of no use."""
    for check in checks():
        if check.sweep:
            yield from _graded(check.rule, check.sweep(leftovers), settings)


def _graded(rule: Rule, findings: Iterable[Finding], settings: Settings) -> Iterator[Finding]:
    """The findings of ``rule`` with the severity that the settings give it on each file; none where they turn it off."""
    for finding in findings:
        chosen = severity(rule, settings, finding.model)
        if chosen != "off":
            yield graded(finding, rule, chosen)


class _Chosen:
    """The rules that look at a model, with the severities that the settings give them there: found once for all targets."""

    def __init__(self, settings: Settings, model: str) -> None:
        self.of = settings, model
        self._rules = [
            (check.rule, check.run, grade)
            for check in checks()
            if check.run and (grade := severity(check.rule, settings, model)) != "off"
        ]
        self._on: dict[tuple[frozenset[str], bool], list[tuple[Rule, _Look, str]]] = {}

    def on(self, known: frozenset[str], timed: bool) -> list[tuple[Rule, _Look, str]]:
        """Those for a processor of these traits. Where nobody timed anything, nothing is known to be slow, and no fix to gain."""
        if (known, timed) not in self._on:
            self._on[known, timed] = [
                each for each in self._rules if each[0].applies(known) and (timed or each[0].code < "LAT2")
            ]
        return self._on[known, timed]


#: What was chosen for the last model.
_last: list[_Chosen] = []


def _chosen(settings: Settings, model: str) -> _Chosen:
    known = next((each for each in _last if each.of[0] is settings and each.of[1] == model), None)
    if known is None:
        known = _Chosen(settings, model)
        _last[:] = [known]
    return known


def run_again(subject: Subject, before: Subject, known: list[Finding]) -> list[Finding]:
    """What all rules find in ``subject``, which is ``before`` but for the name of the target: ``known``, what they found there, by that name."""
    settings, model = subject.settings, subject.prediction.model
    old, new = before.prediction.target, subject.prediction.target
    if any(settings.budgets_for(model, name) for name in (old, new)) or any(old in each.message for each in known):
        return run(subject)  # the name decides more than what the target is called
    marks = {each.fingerprint: fingerprint(each.code, subject.place, new, *each.identity) for each in known}
    return [
        replace(
            each,
            target=new,
            fingerprint=marks[each.fingerprint],
            causes=tuple([marks[cause] for cause in each.causes]),
            under=each.under and marks[each.under],
        )
        for each in known
    ]


def run(subject: Subject) -> list[Finding]:
    """What all rules find in ``subject``: the gravest first, then what gains most, then by code; each knows those with the same cause."""
    from latlint.runtime.planners import traits  # a run that finds all in the cache plans nothing

    found: list[Finding] = []
    chosen = _chosen(subject.settings, subject.prediction.model)
    for rule, look, grade in chosen.on(traits(subject.target.processor), subject.target.timed):
        found += [graded(finding, rule, grade) for finding in look(subject)]
    found.sort(key=lambda finding: (-SEVERITIES.index(finding.severity), -(finding.gain_ms or 0.0), finding.code))
    return gathered(found, {check.rule.code: check.rule.under for check in checks() if check.rule.under})
