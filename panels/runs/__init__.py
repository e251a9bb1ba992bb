"""The Runs panel: what was run in this workspace, found again."""
