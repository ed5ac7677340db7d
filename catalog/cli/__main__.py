"""``python -m catalog.cli`` is ``axsurrogate``."""

from catalog.cli import main

if __name__ == "__main__":
    main()
