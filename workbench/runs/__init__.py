"""Runs: what was asked of the model, belonging to the workbench and not to the page that asked."""
