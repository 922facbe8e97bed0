"""Run `python -m plaintally_server`."""

from plaintally_server.cli.main import main

if __name__ == "__main__":
    main()
