"""What a package of somebody else's may be like, too."""

raise RuntimeError("this <module> was never finished")
