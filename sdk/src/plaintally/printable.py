"""Text from elsewhere made safe to print."""


def printable(text: str, *, lines: bool = False) -> str:
    r"""Return a text with control and hidden characters as escapes.

    These are control characters (such as the one that begins an escape sequence), characters that
    reverse the direction of text or have no width, separators of lines, lone surrogates, and spaces
    other than the common one.

    Args:
        text: the text.
        lines: leave newlines as they are.

    Example:
        >>> print(printable("harmless\x1b[2J \u202etxt.exe"))
        harmless\x1b[2J \u202etxt.exe
    """
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or (lines and character == "\n")
        else character.encode("unicode_escape").decode()
        for character in text
    )
