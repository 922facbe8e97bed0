import sys, plaintally_author.commands, plaintally.cli.main


def fail(*_):
    raise RuntimeError("secret")


sys.argv = ["plaintally", *ARGUMENTS]
NAME = fail
plaintally.cli.main.main()
