"""``python -m glioseg``."""

from glioseg.cli import main

if __name__ == "__main__":
    main()
