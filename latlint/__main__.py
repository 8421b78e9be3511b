"""``python -m latlint``."""

from __future__ import annotations

import sys

from latlint.cli import main

sys.exit(main())
