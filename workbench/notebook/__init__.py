"""The workbench in a notebook: a panel below a cell, on the very model that the cells use."""
