"""Versions as they leave: a release, or `.dev` for what lies between two, and nothing of the
checkout."""

import re
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from coarse_versions import PATTERN
from plaintally.versions import MAX_LENGTH, coarse_version

COARSE = re.compile(PATTERN)
HASH = "8f2c1ab"


@pytest.mark.parametrize(
    ("version", "coarse"),
    [
        # Releases stay as they are.
        ("1.2.3", "1.2.3"),
        ("2026.11", "2026.11"),
        ("1!2.0", "1!2.0"),
        ("1.0rc1", "1.0rc1"),
        ("1.0.0-beta.2", "1.0.0-beta.2"),
        ("1.0a", "1.0a"),
        ("1.0.post3", "1.0.post3"),
        ("1.0rc1.post2", "1.0rc1.post2"),
        ("1.11.6", "1.11.6"),
        # One spelling of each.
        ("v1.0", "1.0"),
        ("1.0RC1", "1.0rc1"),
        ("1.0-post3", "1.0.post3"),
        ("1.0post3", "1.0.post3"),
        ("1.0.post", "1.0.post"),
        # setuptools_scm, hatch-vcs, pdm-scm
        (f"1.38.1.dev3+g{HASH}.d20261130", "1.38.1.dev"),
        (f"1.38.1.dev3+g{HASH}", "1.38.1.dev"),
        ("1.38.1.dev3", "1.38.1.dev"),
        ("1.38.1+d20261130", "1.38.1"),
        (f"1.0.post1.dev3+g{HASH}", "1.0.post.dev"),
        (f"1.0rc2.dev3+g{HASH}", "1.0rc2.dev"),
        # versioneer
        (f"1.0+12.g{HASH}.dirty", "1.0"),
        (f"0+untagged.12.g{HASH}", "0"),
        ("0+unknown", "0"),
        (f"1.0.post3.dev0+g{HASH}", "1.0.post.dev"),
        (f"1.0.post3+g{HASH}", "1.0.post"),
        ("1.0.post0.dev12", "1.0.post.dev"),
        (f"1.0-12-g{HASH}-dirty", "1.0"),
        # pbr, dunamai, Julia, nightly builds
        (f"1.0.1.dev3.g{HASH}", "1.0.1.dev"),
        (f"1.0.0-alpha.1.post.3+{HASH}", "1.0.0-alpha.1.post"),
        (f"1.2.3-DEV+{HASH}", "1.2.3.dev"),
        ("1.12.0-DEV.1234", "1.12.0.dev"),
        ("2.1.0.dev20261130+cu121", "2.1.0.dev"),
        # Other spellings of a development version.
        ("1.0dev3", "1.0.dev"),
        ("1.0-dev3", "1.0.dev"),
        ("1.0_dev", "1.0.dev"),
        ("1.0.DEV3", "1.0.dev"),
        ("1.0.dev-3", "1.0.dev"),
        ("1.0.dev", "1.0.dev"),
        ("1.0.dev.", "1.0.dev"),
        ("1.0a1dev3", "1.0a1.dev"),
        # What is no part of a version is dropped with all that comes after it.
        (f"1.0-{HASH}", "1.0"),
        (f"1.0.{HASH}", "1.0"),
        ("1.2.3-b33f123", "1.2.3"),
        ("1.2.3.c0ffee1", "1.2.3"),
        ("1.0rc1.8f2c1ab", "1.0rc1"),
        (f"1.0.dev{HASH}", "1.0.dev"),
        (f"1.0.post{HASH}", "1.0.post"),
        (f"1!{HASH}", "1"),
        # A number before such a letter may be the beginning of a hash.
        (f"1.2.3a{HASH}", "1.2"),
        ("1.1.1k", "1.1"),
        # Seven hexadecimal digits are a hash or a day, except in the first number.
        ("1.0.0.1234567a", "1.0.0"),
        ("1.0.0.123456a", "1.0.0"),
        ("1.0.0.1234a56", "1.0.0"),
        ("1.0.0.12a34567", "1.0.0.12a"),
        ("1.2.3-a1234567", "1.2.3-a"),
        ("1.2.3-a123456", "1.2.3-a"),
        ("1.0a20261130", "1.0a"),
        ("1.0rc20261130.dev3", "1.0rc.dev"),
        ("1.0-beta.20261130", "1.0-beta"),
        ("1.0.post20261130", "1.0.post"),
        ("1.0.20261130.1", "1.0"),
        ("20261130", "20261130"),
        ("20261130.1", "20261130.1"),
        ("2026.11.30", "2026.11.30"),
        ("2023.12.30.232714", "2023.12.30.232714"),
        ("0.0.123b1", "0.0.123b1"),
        ("1.0-feature-x.dev3", "1.0"),
        ("1.0.developer", "1.0"),
        ("1.0 of /home/me", "1.0"),
        ("1.0.é", "1.0"),
        ("1.٣", "1"),
        # No version at all.
        (HASH, ""),
        (HASH[1:], ""),
        ("main", ""),
        ("unknown", ""),
        ("", ""),
        ("+1", ""),
        ("dev3", ""),
        (None, ""),
        (1.0, ""),
        ("1" * (MAX_LENGTH + 1), ""),
    ],
)
def test_a_version_is_coarse(version: object, coarse: str) -> None:
    assert coarse_version(version) == coarse
    assert coarse_version(coarse) == coarse


parts = st.sampled_from(
    [
        "+",
        ".dev",
        "dev",
        "DEV",
        "-",
        "_",
        ".",
        "post",
        "rc",
        "a",
        "!",
        "v",
        "0",
        "12",
        HASH,
        "g",
        "1.0",
    ]
)
versions = (
    st.lists(parts, max_size=12).map("".join)
    | st.text(string.ascii_letters + string.digits + ".+!_-")
    | st.text()
)


@given(version=versions)
@example(version="1.0post1dev2")
def test_no_version_names_a_checkout(version: str) -> None:
    coarse = coarse_version(version)
    assert coarse == "" or COARSE.fullmatch(coarse)
    assert len(coarse) <= MAX_LENGTH
    assert "+" not in coarse
    assert not re.search("dev.", coarse)
    assert coarse_version(coarse) == coarse


@given(
    version=versions,
    release=st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){0,3}((a|b|rc)[0-9])?", fullmatch=True),
)
def test_two_checkouts_of_a_release_have_one_version(version: str, release: str) -> None:
    assert coarse_version(f"{release}+{version}") == release
    assert (
        coarse_version(f"{release}.dev1+{version}")
        == coarse_version(f"{release}.dev22")
        == f"{release}.dev"
    )


releases = st.from_regex(
    r"[0-9]{1,4}(\.[0-9]{1,3}){1,3}([-_.]?(a|b|rc)\.?[0-9]{0,2})?(\.post[0-9]{0,2})?",
    fullmatch=True,
)
hashes = st.text("0123456789abcdef", min_size=7, max_size=40) | st.builds(
    "{}{}{}".format,
    *[st.text(alphabet, max_size=12) for alphabet in ("0123456789", "abc", "0123456789")],
).filter(lambda text: len(text) >= 7)


@given(release=releases, separator=st.sampled_from([*".-_+~ ", ".g", "-g", ""]), commit=hashes)
@example(release="1.0.0", separator=".", commit="123456a")
@example(release="1.0.0", separator=".", commit="1234a56")
@example(release="1.0.0", separator="-", commit="a123456")
def test_nothing_is_left_of_a_hash_but_two_digits_and_a_letter(
    release: str, separator: str, commit: str
) -> None:
    coarse = coarse_version(release + separator + commit)
    left = {commit[start : start + 4] for start in range(len(commit) - 3)}
    assert not [run for run in left if run in coarse and run not in release]


@given(coarse=st.from_regex(COARSE, fullmatch=True).filter(lambda text: len(text) <= MAX_LENGTH))
def test_what_the_pattern_has_stays_unless_it_has_a_hash(coarse: str) -> None:
    kept = coarse_version(coarse)
    assert kept == coarse or re.search("[0-9a-f]{7}", coarse)
    assert coarse_version(kept) == kept
