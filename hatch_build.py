"""The package's addresses, from the one place that has them (``latlint/address.py``)."""

import runpy
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface


class Address(MetadataHookInterface):
    def update(self, metadata: dict[str, object]) -> None:
        found = runpy.run_path(str(Path(self.root, "latlint", "address.py")))["urls"]()
        if found:
            metadata["urls"] = found
