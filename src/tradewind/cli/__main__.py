"""`python -m tradewind.cli`: the same as `tradewind`."""

from tradewind.cli.app import main

if __name__ == "__main__":
    main()
