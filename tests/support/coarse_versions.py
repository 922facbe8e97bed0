"""The form of coarse versions, which `plaintally.versions` makes, as a regular expression."""

PATTERN = (
    r"([0-9]+!)?[0-9]+([.][0-9]{1,6})*([-_.]?(alpha|beta|preview|pre|rc|a|b|c)([.]?[0-9]{1,6})?)?"
    r"([.]post[0-9]{1,6}|([.]post)?([.]dev)?)"
)
"""A regular expression that matches a whole coarse version, for Python's `re` and for RE2."""
