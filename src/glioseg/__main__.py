"""``python -m glioseg``."""

from glioseg.cli.app import main

if __name__ == "__main__":
    main()
