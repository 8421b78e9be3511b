from latlint.runtime.partition import Epoch, epochs, keep_largest

__all__ = ["Epoch", "epochs", "keep_largest"]
