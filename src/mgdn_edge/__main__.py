"""``python -m mgdn_edge`` is ``mgdn``."""

from mgdn_edge.cli import main

if __name__ == "__main__":
    main()
