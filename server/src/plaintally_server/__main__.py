"""`python -m plaintally_server`."""

from plaintally_server.cli import main

if __name__ == "__main__":
    main()
