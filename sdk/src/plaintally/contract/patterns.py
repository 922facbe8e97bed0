r"""Patterns of the type `Name`: regular expressions matched in linear time. Pure.

Python's `re` goes back and tries another way when a match fails. For an expression such as
`([a-z]+_?)+`, a text of forty characters keeps it busy for hours, and that text may come from a
stranger. So a pattern may only use:

* characters, and those with a meaning of their own behind a backslash: `a`, `\.`
* classes: `[a-z0-9_]`, `[^/]`, `\d`, `\w`, and `.` for any character
* repeats of one character or class: `*`, `+`, `?`, `{2}`, `{2,}`, `{2,5}`
* alternatives, also in a group: `adam|sgd`, `(adam|sgd)(_v2)?`. A group is neither repeated nor
  inside another group.

What follows a repeat must not match a character that the repeat matches: `[a-z][a-z0-9]*` is a
pattern, and `[a-z]+[a-z0-9]*` is not. So a repeat takes all that it can, and nothing is gained by
trying it with less. A text is printable ASCII, and within it a pattern matches exactly what
`re.fullmatch` matches.

`parse` writes the groups out, so that what is left is a list of sequences. Each is matched from
left to right once.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    Part = tuple[str, int, "int | None"]
    """The characters that are matched, at least and at most how many times (None: any number)."""
    Parts = tuple[Part, ...]

MAX_PARTS = 1000  # of all sequences together, each of which counts as one more
MAX_TIMES = 256
_ANY = "".join(map(chr, range(32, 127)))
_DIGITS = "0123456789"
_CLASSES = {"d": _DIGITS, "w": "".join(filter(str.isalnum, _ANY)) + "_"}
_SPECIAL = "^$*+?{}[]()|"


def parse(pattern: str) -> "tuple[Parts, ...]":
    """Return the sequences of a pattern, one of which has to match.

    Raises:
        ContractError: the pattern uses something else than the module's description allows.
    """
    reader = _Reader(pattern)
    sequences = tuple(reader.alternatives())
    if reader.next:
        raise reader.error("has a ) without a (")
    for parts in sequences:
        _check(reader, parts)
    return sequences


def matches(sequences: "Sequence[Parts]", text: str) -> bool:
    """Return whether a sequence matches a whole text of printable ASCII."""
    for parts in sequences:
        rest = text
        for characters, least, most in parts:
            possible = rest[:most]
            taken = len(possible) - len(possible.lstrip(characters))
            if taken < least:
                break
            rest = rest[taken:]
        else:
            if not rest:
                return True
    return False


def _check(reader: "_Reader", parts: "Parts") -> None:
    """Raise if a part can match what a repeat before it could have taken."""
    taken: frozenset[str] = frozenset()
    for characters, least, most in parts:
        if not taken.isdisjoint(characters):
            shared = min(taken.intersection(characters))
            raise reader.error(
                f"has a repeat before something that also matches {shared!r}; write it so that a "
                "character can "
                "belong to one of them only, such as [a-z][a-z0-9]* instead of [a-z]+[a-z0-9]*"
            )
        before = taken if least == 0 else frozenset()
        taken = before if least == most else before.union(characters)


class _Reader:
    """A reader of a pattern from left to right; `next` is "" at the end."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.position = 0
        if not (pattern.isascii() and pattern.isprintable()):
            raise self.error("has a character that is not printable ASCII, which no name matches")

    @property
    def next(self) -> str:
        return self.pattern[self.position : self.position + 1]

    def alternatives(self, *, in_group: bool = False) -> "list[Parts]":
        """Read alternatives up to the end of the pattern or of the group."""
        found = self.sequence(in_group=in_group)
        while self.skip("|"):
            found += self.sequence(in_group=in_group)
        return found

    def sequence(self, *, in_group: bool) -> "list[Parts]":
        """Read one alternative; each of its groups multiplies the sequences that it stands for."""
        found: list[Parts] = [()]
        while self.next not in ("", "|", ")"):
            choices = (
                self.group(in_group=in_group)
                if self.skip("(")
                else [((self.atom(), *self.times()),)]
            )
            found = [parts + choice for parts in found for choice in choices]
            if sum(map(len, found)) + len(found) > MAX_PARTS:
                raise self.error(
                    f"has more than {MAX_PARTS} parts when its groups are written out; use fewer "
                    "groups"
                )
        return found

    def group(self, *, in_group: bool) -> "list[Parts]":
        if in_group:
            raise self.error("has a group inside a group; write its alternatives out")
        choices = self.alternatives(in_group=True)
        if not self.skip(")"):
            raise self.error("has a ( without a )")
        if self.skip("?"):
            choices.append(())
        elif self.next in ("*", "+", "{"):
            raise self.error("repeats a group; repeat a single character or class, such as [a-z_]+")
        return choices

    def atom(self) -> str:
        """Read a character or a class, and return the characters that it matches."""
        if self.skip("["):
            return self.members()
        if self.skip("."):
            return _ANY
        if self.next in _SPECIAL:
            raise self.error(
                f"has a {self.next} at position {self.position}, which means nothing there; write "
                f"\\{self.next} for "
                "the character (a pattern always matches the whole text, so it needs no ^ and $)"
            )
        return self.character()

    def members(self) -> str:
        """Read the rest of a class, and return its characters."""
        is_negated = self.skip("^")
        found: set[str] = set()
        while not self.skip("]"):
            first = self.member()
            if self.skip("-"):
                first = first + "-" if self.next == "]" else self.span(first, self.member())
            found.update(first)
        if not found:
            raise self.error("has an empty class; write \\] for the character")
        return "".join(character for character in _ANY if (character in found) is not is_negated)

    def member(self) -> str:
        if self.next in ("", "["):
            raise self.error(
                "has a [ without a ], or one inside a class; write \\[ for the character"
            )
        return self.character()

    def span(self, first: str, last: str) -> str:
        if len(first) != 1 or len(last) != 1 or last < first:
            raise self.error(
                "has a range in a class that does not go from a character to a later one"
            )
        return "".join(map(chr, range(ord(first), ord(last) + 1)))

    def character(self) -> str:
        """Read a character, or what stands behind a backslash."""
        if not self.skip("\\"):
            self.position += 1
            return self.pattern[self.position - 1]
        escaped = self.next
        self.position += 1
        if escaped in _CLASSES:
            return _CLASSES[escaped]
        if not escaped or escaped.isalnum():
            raise self.error(
                f"has \\{escaped}; only \\d, \\w and punctuation can stand behind a backslash"
            )
        return escaped

    def times(self) -> "tuple[int, int | None]":
        """Read how often the character or class before is repeated."""
        for sign, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self.skip(sign):
                return bounds
        if not self.skip("{"):
            return 1, 1
        inside, end, _ = self.pattern[self.position :].partition("}")
        least, comma, most = inside.partition(",")
        numbers = [int(number) for number in (least, most) if number.isdigit() and len(number) < 4]
        if (
            not end
            or len(numbers) != 1 + bool(most)
            or not 0 < max(numbers) <= MAX_TIMES
            or numbers != sorted(numbers)
        ):
            raise self.error(
                f"has a repeat that is not written as {{2}}, {{2,}} or {{2,5}}, up to {MAX_TIMES}"
            )
        self.position += len(inside) + 1
        return numbers[0], numbers[-1] if most or not comma else None

    def skip(self, character: str) -> bool:
        """Go past a character if it comes next."""
        is_next = self.next == character
        self.position += is_next
        return is_next

    def error(self, reason: str) -> Exception:
        from plaintally.exceptions import ContractError

        return ContractError(f"the pattern {self.pattern!r} {reason}")
