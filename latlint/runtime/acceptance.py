"""Which nodes a delegate takes, and why it refuses the others: what every rules file says in the same words.

A delegate's op table says of each kind how many inputs and outputs it may have, of which types and ranks, which inputs must be constants,
up to which version it is known, and with which facts (``runtime.facts``) it is refused. Kinds of which it says nothing more than that they are taken
are words of ``plain``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from latlint.graph.ops import KINDS
from latlint.graph.types import Node, Tensor
from latlint.records import NamedTuple
from latlint.runtime.context import Context
from latlint.runtime.facts import FACTS, Facts, matches
from latlint.runtime.reasons import Refusal, RefusalCode, either
from latlint.runtime.rules import Rules

Condition = Mapping[str, Any]


class RefusedForm(NamedTuple):
    """Facts with which (``when``) or without which (``unless``) a delegate leaves a node alone, and the reason: a text that may name
    facts, ``{rank} dimensions``; or ``code = "NOT_AN_OP"``, which says all."""

    reason: str = ""
    when: Condition | None = None
    unless: Condition | None = None
    code: RefusalCode = "FORM"

    def holds(self, facts: Facts) -> bool:
        if self.when is not None and not matches(self.when, facts):
            return False
        return self.unless is None or not matches(self.unless, facts)


class Terms(NamedTuple):
    """On which terms a delegate takes one kind of op. Empty counts, slots, ranks or types are no condition (types: the delegate's). Forms in
    ``warn`` are taken, and a user must know more of them; those in ``breaks`` are taken, and cannot be prepared."""

    refuse: tuple[RefusedForm, ...] = ()
    warn: tuple[RefusedForm, ...] = ()
    breaks: tuple[RefusedForm, ...] = ()
    dtypes: tuple[str, ...] = ()
    ranks: tuple[int, ...] = ()
    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()
    constant: tuple[int, ...] = ()
    max_version: int | None = None


class Acceptance(NamedTuple):
    """What a delegate takes. ``by`` is what sentences call it; ``custom`` are native names of ops outside the vocabulary. With ``by_native`` the
    tables of ops are by native names, and their slots are those of the format.

    ``dtypes`` are the types of activations; ``constant_dtypes`` what the constants that an op asks for may have beside these
    (``None``: any); ``hybrid`` the kinds that are taken with quantised weights under float activations (``None``: all). With
    ``open_shapes`` a size that is only known at run time is no reason to refuse, as long as the number of dimensions is known; with
    ``takes_constants`` an op that works on constants alone is taken as well, with ``takes_bodies`` those in bodies of control flow.
    """

    by: str
    ops: Mapping[str, Terms]
    dtypes: tuple[str, ...]
    activations: frozenset[str]
    max_rank: int
    custom: frozenset[str] = frozenset()
    constant_dtypes: frozenset[str] | None = None
    hybrid: frozenset[str] | None = None
    open_shapes: bool = False
    takes_constants: bool = False
    takes_bodies: bool = False
    by_native: bool = False

    def _terms(self, node: Node) -> Terms | None:
        return self.ops.get(node.native if self.by_native else node.kind)

    def refusal(self, context: Context, node: Node) -> Refusal | None:
        """Why the delegate leaves ``node`` to what runs the rest; ``None`` where it takes it."""
        if node.inner and not self.takes_bodies:
            return self._refuse("BODY", native=node.native)
        terms = self._terms(node)
        if terms is None:
            return None if node.native in self.custom else self._refuse("NOT_AN_OP", native=node.native or node.kind)
        return self._of_op(node, terms) or self._of_form(context, node, terms) or self._of_tensors(context, node, terms)

    def breaks(self, context: Context, node: Node) -> str:
        """Why ``node``, which the delegate takes, cannot be prepared; empty where it can."""
        terms = self._terms(node)
        if terms is None or not terms.breaks:
            return ""
        facts = Facts(context, node)
        return next((form.reason.format_map(facts) for form in terms.breaks if form.holds(facts)), "")

    def warnings(self, context: Context, node: Node) -> list[str]:
        """What a user must know of ``node``, which the delegate takes."""
        terms = self._terms(node)
        if terms is None or not terms.warn:
            return []
        facts = Facts(context, node)
        return [form.reason.format_map(facts) for form in terms.warn if form.holds(facts)]

    def _refuse(self, code: RefusalCode, **values: Any) -> Refusal:
        return Refusal(code, {"by": self.by, **values})

    def _of_op(self, node: Node, terms: Terms) -> Refusal | None:
        native = node.native or node.kind
        if not node.inputs or node.inputs[0] < 0 or not node.outputs or min(node.outputs) < 0:
            return self._refuse("LACKS_TENSOR", native=native)
        if terms.max_version is not None and node.version > terms.max_version:
            return self._refuse("VERSION", native=native, version=node.version, newest=terms.max_version)
        if terms.inputs and (given := len(node.inputs) - node.inputs.count(-1)) not in terms.inputs:
            return self._refuse("COUNT", what="inputs", given=given, allowed=either(terms.inputs))
        if terms.outputs and len(node.outputs) not in terms.outputs:
            return self._refuse("COUNT", what="outputs", given=len(node.outputs), allowed=either(terms.outputs))
        return None

    def _of_form(self, context: Context, node: Node, terms: Terms) -> Refusal | None:
        activation = node.attributes.get("activation", "none")
        if activation not in self.activations:
            return self._refuse("ACTIVATION", activation=activation)
        if not terms.refuse:
            return None
        facts = Facts(context, node)
        for form in terms.refuse:
            if form.holds(facts):
                native = node.native or node.kind
                return self._refuse(form.code, native=native, why=form.reason.format_map(facts))
        return None

    def _of_tensors(self, context: Context, node: Node, terms: Terms) -> Refusal | None:
        """The first thing that is wrong with what the node reads and writes."""
        allowed = terms.dtypes or self.dtypes
        computed = False
        why = None
        for slot, index in enumerate(node.inputs):
            if index < 0:
                continue
            tensor = context.tensor(index)
            if not context.is_constant(index):
                computed = True
                if slot in terms.constant:
                    return self._refuse("COMPUTED", slot=slot)
                why = self._of_computed(tensor, allowed, () if slot else terms.ranks)
            elif slot in terms.constant:
                why = self._of_constant(context, node, slot, tensor, allowed)
            if why:
                return why
        for index in node.outputs:
            if why := self._of_computed(context.tensor(index), allowed, (), written=True):
                return why
        return None if computed or self.takes_constants else self._refuse("NOTHING_COMPUTED")

    def _of_computed(
        self, tensor: Tensor, allowed: Sequence[str], ranks: Sequence[int], *, written: bool = False
    ) -> Refusal | None:
        if tensor.shape is None:
            if written or not self.open_shapes:
                return self._refuse("OPEN_SHAPE", tensor=tensor.name)
        elif not self.open_shapes and min(tensor.shape, default=0) < 0:
            return self._refuse("OPEN_SHAPE", tensor=tensor.name)
        rank = len(tensor.shape or ())
        if rank > self.max_rank:
            return self._refuse("RANK", tensor=tensor.name, rank=rank, allowed=f"up to {self.max_rank}")
        if ranks and tensor.shape is not None and rank not in ranks:
            return self._refuse("RANK", tensor=tensor.name, rank=rank, allowed=either(tuple(ranks)))
        if tensor.dtype not in allowed:
            return self._refuse("DTYPE", tensor=tensor.name, dtype=tensor.dtype, allowed=either(tuple(allowed)))
        return None

    def _of_constant(
        self, context: Context, node: Node, slot: int, tensor: Tensor, allowed: Sequence[str]
    ) -> Refusal | None:
        types = self.constant_dtypes
        if types is not None and tensor.dtype not in types and tensor.dtype not in allowed:
            either_of = either((*allowed, *sorted(types)))
            return self._refuse("DTYPE", tensor=tensor.name, dtype=tensor.dtype, allowed=either_of)
        if slot == 1 and self.hybrid is not None and node.kind not in self.hybrid:
            data = context.tensor(node.inputs[0])
            if data.dtype == "float32" and tensor.dtype in ("int8", "uint8"):
                return self._refuse("HYBRID", weights=tensor.dtype, activations=data.dtype)
        return None


# --- Reading rules files -------------------------------------------------------------------------------------------------------


_PLAIN: Mapping[str, Any] = MappingProxyType({})
_ON_NONE = Terms()


def parse_acceptance(rules: Rules) -> tuple[Acceptance, dict[str, dict[str, Any]], dict[str, Any]]:
    """What a delegate's file says of acceptance; of each op's table what else it holds; and the other keys of the file."""
    data = dict(rules.data)
    shared = {name: parse_form(f"[refusals.{name}]", entry) for name, entry in data.pop("refusals", {}).items()}
    terms: dict[str, Terms] = {}
    others: dict[str, dict[str, Any]] = {}
    # most ops of an NPU: a word each is read ten times as fast as a table
    plain = dict.fromkeys(data.pop("plain", "").split(), _PLAIN)
    for kind, entry in (plain | data.pop("ops")).items():
        read = (_ON_NONE, {}) if entry is _PLAIN else _terms(kind, entry, shared)
        terms[kind if data.get("by_native") else known_kind(kind)], others[kind] = read
    values = {key: data.pop(key) for key in Acceptance._fields if key in data and key not in ("by", "ops")}
    for key in ("activations", "custom", "constant_dtypes", "hybrid"):
        if key in values:
            values[key] = frozenset(values[key])
    values |= {"dtypes": tuple(values["dtypes"]), "max_rank": int(values["max_rank"])}
    return Acceptance(by=rules.title, ops=terms, **values), others, data


def _terms(kind: str, entry: Mapping[str, Any], shared: Mapping[str, RefusedForm]) -> tuple[Terms, dict[str, Any]]:
    """The terms of one op's table, and what else the table holds. ``shared`` are the forms that tables may name."""
    values: dict[str, Any] = {key: entry[key] for key in Terms._fields if key in entry}
    for key in ("dtypes", "ranks", "inputs", "outputs", "constant"):
        if key in values:
            values[key] = tuple(values[key])
    for key in ("refuse", "warn", "breaks"):
        forms = []
        for form in entry.get(key, ()):
            if isinstance(form, str) and form not in shared:
                raise ValueError(f"{kind}: no refusal is called {form!r}")
            forms.append(shared[form] if isinstance(form, str) else parse_form(kind, form))
        values[key] = tuple(forms)
    return Terms(**values), {key: value for key, value in entry.items() if key not in Terms._fields}


def parse_form(where: str, entry: Mapping[str, Any]) -> RefusedForm:
    form = RefusedForm(**entry)
    for condition in (form.when, form.unless):
        check_facts(where, condition or {})
    if form.when is None and form.unless is None:
        raise ValueError(f"{where}: a refusal needs 'when' or 'unless'")
    if form.code not in ("FORM", "NOT_AN_OP"):
        raise ValueError(f"{where}: a refusal's code is FORM or NOT_AN_OP")
    if form.code == "FORM" and not form.reason:
        raise ValueError(f"{where}: a refusal needs a reason")
    return form


def check_facts(where: str, condition: Condition) -> Condition:
    if unknown := set(condition) - set(FACTS):
        raise ValueError(f"{where}: no fact is called {min(unknown)!r}")
    return condition


def known_kind(kind: str) -> str:
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is not an op of the vocabulary")
    return kind
