"""List files: one address a line, and every fault has a place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from winnow.errors import RuleError
from winnow.policy.senders import read_bounded, read_senders


def test_one_address_a_line(tmp_path: Path):
    """Blanks, comments, a byte order mark and CRLF are no addresses."""
    text = (
        "\ufeff# friends\r\nAnna@x.y\r\n\r\n  @z.y  # all of them\n#no@x.y\n*.w.y\t# too\na#b@x.y"
    )
    (tmp_path / "l.txt").write_bytes(text.encode())
    assert read_senders("l.txt", tmp_path) == ["anna@x.y", "@z.y", "*.w.y", "a#b@x.y"]


def test_a_bad_line_is_placed_in_the_list_file(tmp_path: Path):
    """The user is sent to the list, not to the rule file that names it."""
    (tmp_path / "l.txt").write_text("a@x.y\n\n  oops # x\n")
    with pytest.raises(RuleError) as caught:
        read_senders("l.txt", tmp_path)
    assert (caught.value.line, caught.value.column) == (3, 3)
    assert caught.value.origin == str(tmp_path / "l.txt")


def test_bytes_that_are_no_utf8_are_placed(tmp_path: Path):
    """A file in another encoding says where it is one."""
    (tmp_path / "l.txt").write_bytes(b"# ok\nM\xfcller@x.y\n")
    with pytest.raises(RuleError) as caught:
        read_senders("l.txt", tmp_path)
    assert (caught.value.line, caught.value.column) == (2, 2)


@pytest.mark.parametrize("name", ["missing.txt", ".", "a\0b", "x" * 5000, "pipe", "/dev/zero"])
def test_what_cannot_be_read_says_so(tmp_path: Path, name: str):
    """Missing files, folders, impossible names; a pipe or a device is not waited for."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="list file"):
        read_senders(name, tmp_path)


def test_no_folder_no_files():
    """Rules that come from no file cannot reach into the disk."""
    with pytest.raises(ValueError, match="beside"):
        read_senders("/etc/passwd", None)


def test_a_file_is_read_up_to_its_limit(tmp_path: Path):
    """A gigabyte by mistake is refused, not loaded."""
    path = tmp_path / "l.txt"
    path.write_text("12345")
    assert read_bounded(path, 5) == "12345"
    with pytest.raises(ValueError, match="more than 4 bytes"):
        read_bounded(path, 4)
