"""`python -m plaintally`."""

from plaintally._cli import main

if __name__ == "__main__":
    main()
