"""Run the command line from a checkout without installing it: `python cli.py render …`."""

from glassviz.cli import main

if __name__ == "__main__":
    main()
