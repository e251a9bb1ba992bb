"""Where a file comes from: of which run it is, written into it, read back, and made into code that runs it again."""
