"""`python -m sansheng` is the command `sansheng`, for a place where scripts are not on the path."""

import sys

from sansheng.cli import main

if __name__ == "__main__":
    sys.exit(main())
