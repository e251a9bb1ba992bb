"""Other libraries, each in a process of its own and, where it needs other versions, in an environment of its own.

What stands here is imported by those environments, too, so nothing here imports the workbench.
"""
