from __future__ import annotations

import contextlib
import io
import os
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.corpus.builders import tar_bytes
from winnow.corpus.tar import is_tar, read_members
from winnow.errors import InputError

FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
LONG = "folder/" + "n" * 90 + "/" + "m" * 90 + ".eml"
FILES = {"a.eml": b"one", "./b/c.eml": b"x" * 512, LONG: b"y" * 513, "empty": b""}


def members(data: bytes, limit: int = 100) -> dict[str, bytes]:
    stream = io.BufferedReader(io.BytesIO(data))
    return {os.fsdecode(m.name): m.read(1 << 20) for m in read_members(stream, "x.tar", limit)}


def archive_of(info: tarfile.TarInfo, data: bytes = b"") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        tar.addfile(info, io.BytesIO(data))
        after = tarfile.TarInfo("after")
        after.size = 2
        tar.addfile(after, io.BytesIO(b"ok"))
    return out.getvalue()


@pytest.mark.parametrize("format_", FORMATS)
def test_all_three_forms_are_read(format_: int) -> None:
    """Archives of GNU tar, BSD tar and old ones give the same, long names included."""
    files = FILES if format_ != tarfile.USTAR_FORMAT else {**FILES, "é": b"z"}
    data = tar_bytes(files, format_=format_)
    assert is_tar(data[:512])
    assert members(data) == {name.removeprefix("./"): body for name, body in files.items()}


@given(
    st.dictionaries(
        st.text("abä/.", min_size=1, max_size=300).filter(lambda name: name[-1] not in "/"),
        st.binary(max_size=1500),
        max_size=5,
    ),
    st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
)
def test_agrees_with_the_standard_library(files: dict[str, bytes], format_: int) -> None:
    """Every member that may be read is read, byte for byte, under its name."""
    data = tar_bytes(files, format_=format_)
    expected = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for info in tar:
            inside = not info.name.startswith("/") and ".." not in info.name.split("/")
            body = tar.extractfile(info)
            if inside and body is not None:
                expected[info.name.removeprefix("./")] = body.read()
    assert members(data) == expected


@given(st.binary(max_size=3000), st.integers(0, 3000))
def test_damage_is_an_input_error(noise: bytes, at: int) -> None:
    """Whatever bytes come: members or InputError, nothing else."""
    data = bytearray(tar_bytes({"a": b"x" * 700, "b" * 120: b"y"}))
    data[at : at + len(noise)] = noise
    with contextlib.suppress(InputError):
        members(bytes(data))


def test_cut_archive_is_never_taken_for_whole() -> None:
    """Cut anywhere before its end mark, an archive is an error: no silent half corpus."""
    data = tar_bytes({"a": b"x" * 700, "b": b"y" * 10}, format_=tarfile.USTAR_FORMAT)
    end = 512 + 1024 + 512 + 512
    for cut in range(1, end, 100):
        with pytest.raises(InputError, match="cut off"):
            members(data[:cut])
    assert len(members(data[: end + 512])) == 2


def test_damaged_header_in_the_middle_is_an_error() -> None:
    """The rest of an archive is not dropped without a word (the standard library does)."""
    data = bytearray(tar_bytes({"a": b"x", "b": b"y"}, format_=tarfile.USTAR_FORMAT))
    data[1024 + 30] ^= 0xFF
    with pytest.raises(InputError, match="damaged"):
        members(bytes(data))


@pytest.mark.parametrize("name", ["/etc/passwd", "../up", "a/../../up", "..", "folder/"])
def test_names_that_lead_outside_are_passed_over(name: str) -> None:
    """A member cannot pose as a file elsewhere; those after it are still read."""
    info = tarfile.TarInfo(name)
    info.size = 3
    assert list(members(archive_of(info, b"bad"))) == ["after"]


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE],
)
def test_links_and_devices_are_passed_over(kind: bytes) -> None:
    """Only regular files are mail."""
    info = tarfile.TarInfo("link.eml")
    info.type = kind
    info.linkname = "/etc/passwd"
    assert list(members(archive_of(info))) == ["after"]


def test_members_can_be_left_unread() -> None:
    """Skipping, reading in part and reading as a stream all leave the next member whole."""
    data = tar_bytes({"a": b"a" * 1000, "b": b"b" * 1000, "c": b"c" * 1000, "d": b"d"})
    stream = io.BufferedReader(io.BytesIO(data))
    found = []
    for member in read_members(stream, "x.tar", 10):
        if member.name == b"b":
            found.append(member.read(10))
        if member.name == b"c":
            found.append(member.open().read(3))
        if member.name == b"d":
            found.append(member.open().read())
    assert found == [b"b" * 10, b"ccc", b"d"]


def test_number_of_members_is_bounded() -> None:
    """An archive of endless empty members ends with a sentence."""
    data = tar_bytes({str(n): b"" for n in range(4)}, format_=tarfile.USTAR_FORMAT)
    assert len(members(data, limit=4)) == 4
    with pytest.raises(InputError, match="more than 3 members"):
        members(data, limit=3)


@pytest.mark.parametrize("kind", [b"x", b"L", b"K", b"g"])
def test_extended_header_cannot_fill_the_memory(kind: bytes) -> None:
    """A header that announces gigabytes is refused before it is read."""
    info = tarfile.TarInfo("a")
    info.type, info.size = kind, 1 << 40
    with pytest.raises(InputError, match="longer than a megabyte"):
        members(info.tobuf(tarfile.GNU_FORMAT))


@pytest.mark.parametrize("record", [b"99 path=x\n", b"0 a=b\n", b"path=x\n", b""])
def test_odd_pax_records_are_passed_over(record: bytes) -> None:
    """A broken extended header never loops or crashes."""
    assert members(pax_archive(record)) == {"a": b"1"}


@pytest.mark.parametrize("record", [b"9 size=x\n", b"10 size=-1\n"])
def test_pax_size_that_is_none_is_refused(record: bytes) -> None:
    """Without the size nobody knows where the next member begins."""
    with pytest.raises(InputError, match="without a size"):
        members(pax_archive(record))


def pax_archive(record: bytes) -> bytes:
    info = tarfile.TarInfo("x")
    info.type, info.size = b"x", len(record)
    block = record.ljust(512, b"\0") if record else b""
    return info.tobuf(tarfile.USTAR_FORMAT) + block + tar_bytes({"a": b"1"})


def test_sparse_files_are_refused_with_the_remedy() -> None:
    """Their holes are not in the archive, so their bytes would be wrong."""
    info = tarfile.TarInfo("a")
    info.type = b"S"
    with pytest.raises(InputError, match="--sparse"):
        members(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))


@pytest.mark.parametrize("head", [b"", b"From: a@b.example\n\n" * 40, bytes(512), b"\xff" * 512])
def test_other_files_are_no_archives(head: bytes) -> None:
    """Mail, zeros and noise are not taken for an archive."""
    assert not is_tar(head)
