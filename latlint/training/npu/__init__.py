"""NPU packs from what Qualcomm AI Hub published (``measurements``), by one fit over all devices and runtimes (``fit``)."""
