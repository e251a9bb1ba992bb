"""What a notebook shows of things: markup that needs no server and no script, light and dark."""
