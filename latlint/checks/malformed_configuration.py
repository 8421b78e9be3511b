"""The configuration, or a budget, is not understood.

## What it does
Reports a `latlint.toml` or `[tool.latlint]` that is not valid TOML, a key that latlint does not know (with the key that may
have been meant), a value of the wrong type, and a budget that is not a time with a unit.

## Why is this bad?
A setting that is silently ignored is a check that silently does not happen.

## Example
```toml
[[budgets]]
maximum = "10"   # unknown key, and no unit
```

Use instead:
```toml
[[budgets]]
max = "10ms"
```
"""

from __future__ import annotations

from latlint.checks.types import Rule

RULE = Rule("LAT901", "malformed-configuration", "error")
