"""What is done to a state: operations, where they are written, and many of them at once."""
