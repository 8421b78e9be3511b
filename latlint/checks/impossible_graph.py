"""A model can be read, but its graph cannot run.

## What it does
Reports a graph that no runtime could execute: an op that reads a tensor that does not exist, a value that is read before
anything has written it, a cycle. So are shapes that do not broadcast, a bias
that does not fit its filter, as many scales as there are no slices, and a loop whose body takes other values than the loop.

## Why is this bad?
The runtime will refuse the model when it is loaded, on the phone.

## What to do
Export the model again. If a tool edited the graph (a quantiser, a surgeon's script), look at the op in the message there.
"""

from __future__ import annotations

from latlint.checks.types import Rule

RULE = Rule("LAT007", "impossible-graph", "error")
