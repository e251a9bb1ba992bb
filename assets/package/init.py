"""$title: a panel of Steering Workbench."""
