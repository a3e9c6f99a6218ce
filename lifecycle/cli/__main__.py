"""Runs the command line as ``python -m lifecycle.cli``."""

from lifecycle.cli import main

if __name__ == "__main__":
    main()
