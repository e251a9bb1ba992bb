"""What stands around every panel: model bar, shelf, job strip, and the server that shows it."""
