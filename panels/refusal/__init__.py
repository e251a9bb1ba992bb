"""The Refusal panel: the refusal direction, found, ablated and located."""
