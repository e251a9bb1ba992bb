"""One thing of each kind that packages can add to Steering Workbench."""
