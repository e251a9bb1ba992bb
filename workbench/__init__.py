"""The host application: panels, workspace, page and command line. The mathematics is in `steering`."""
