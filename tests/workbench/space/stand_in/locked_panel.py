"""A panel that holds something that no other process can have."""

from odd_panel import LockedPanel


panel = LockedPanel()
