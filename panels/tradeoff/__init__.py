"""The Trade-off panel: alignment and helpfulness over strength."""
