"""The built-in panels, one file each; they enter by the same door as third parties' panels."""
