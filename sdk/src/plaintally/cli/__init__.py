"""What commands of other distributions share with those of `plaintally`.

The distribution `plaintally-author` brings the actions of `plaintally contract` by an entry point
of the group `plaintally.commands`: a function that adds arguments to the parser of that command.
"""

from plaintally.cli.output import say, write
from plaintally.cli.packages import find, package_name
from plaintally.consent.files import remedy, write_file

__all__ = ["find", "package_name", "remedy", "say", "write", "write_file"]
