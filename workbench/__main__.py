"""`python -m workbench`: the `workbench` command, by the Python of an environment."""

from workbench.cli.main import main


if __name__ == "__main__":
    main()
