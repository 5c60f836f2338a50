"""`python -m glassviz`: the same as the `glassviz` command."""

from glassviz.cli import main

if __name__ == "__main__":
    main()
