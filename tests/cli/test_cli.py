"""The command line as a whole: help, status, and what becomes of faults."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from winnow import __version__, cli
from winnow.cli import VERBS, build_parser, main


def test_help_loads_nothing_heavy() -> None:
    """Help and the start of the server do not wait for numpy, rich or the web framework."""
    code = (
        "import sys; from winnow.cli import build_parser; build_parser().format_help();"
        "print({'numpy', 'rich', 'starlette', 'uvicorn', 'sqlite3'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_its_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A percent sign in a help text, read as a format, would be a traceback."""
    with pytest.raises(SystemExit) as stopped:
        main([verb, "--help"])
    assert stopped.value.code == 0
    assert f"usage: winnow {verb}" in capsys.readouterr().out
    assert verb in build_parser().format_help()


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """A report of a fault can name the version."""
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"winnow {__version__}\n"


@pytest.mark.parametrize(
    "command",
    [
        *(["check", "/no/such"], ["train", "--out", "x.winnow"], ["inspect", "/no/such"]),
        *(["learn"], ["evaluate"], ["verdict", "a@b"], ["train", "--out", "x", "/no/such"]),
        *(
            ["check", "a" * 300],
            ["train", "--out", "a" * 300],
            ["verdict", "x", "--store", "a" * 300],
        ),
        *(["check", "-", "-"], ["check", "--no-store", "--store", "s", "-"]),
    ],
)
def test_unusable_input_is_a_sentence(command: list[str], winnow: Run) -> None:
    """Exit status 2 and one line on standard error, never a traceback, nothing made."""
    done = winnow(*command)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("winnow: ")
    assert done.err.count("\n") == 1


def test_a_hostile_name_in_a_fault(winnow: Run, tmp_path: Path) -> None:
    """A file name cannot write to the terminal through an error."""
    done = winnow("check", tmp_path / "\x1b[2J\u202e")
    assert "\x1b" not in done.err
    assert r"\x1b[2J\u202e" in done.err


def test_interrupted(winnow: Run, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control-C ends with the status that shells know, without a traceback."""

    def interrupt(args: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("winnow.cli.inspect.run", interrupt)
    assert winnow("inspect", model).status == cli.INTERRUPTED == 130


@pytest.mark.slow
@pytest.mark.parametrize("options", [["--json"], []])
def test_a_reader_that_leaves(options: list[str], model: Path, corpus: Path) -> None:
    """`winnow check … | head -1` ends quietly."""
    command = [sys.executable, "-m", "winnow", "check", "--model", str(model), *options]
    with subprocess.Popen(
        [*command, str(corpus)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("options", [["--json"], []])
def test_a_full_disk(options: list[str], model: Path, mail: Path) -> None:
    """Answers that cannot be written end with a sentence and a status that is not 0."""
    full = Path("/dev/full")
    if not full.is_char_device():
        pytest.skip("no /dev/full here")
    command = [sys.executable, "-m", "winnow", "check", "--model", str(model), *options, str(mail)]
    with full.open("wb") as out:
        done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert done.stderr == (
        b"winnow: the output cannot be written: No space left on device; make room and ask again.\n"
    )


@pytest.mark.slow
def test_a_locale_without_the_sign(model: Path, tmp_path: Path) -> None:
    """Mail in another script is answered on a terminal that knows only ASCII."""
    name = tmp_path / "Grüße.eml"
    name.write_bytes("Subject: 発票 Grüße\n\nbody\n".encode())
    done = subprocess.run(
        [sys.executable, "-m", "winnow", "check", "--model", str(model), str(name)],
        capture_output=True,
        check=True,
        env={"PYTHONIOENCODING": "ascii", "PATH": "", "HOME": str(tmp_path)},
    )
    assert rb"Gr\xfc\xdfe.eml" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            "train",
            "winnow: the following arguments are required: --out; see `winnow train --help`.\n",
        ),
        (
            "check",
            "winnow: the following arguments are required: PATH; see `winnow check --help`.\n",
        ),
        ("learn --spam", "argument --spam: expected at least one argument; see `winnow learn --h"),
        ("rule", "see `winnow rule --help`"),
        ("nope", "invalid choice: 'nope'"),
        ("", "VERB; see `winnow --help`"),
    ],
)
def test_misuse_is_a_sentence(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A forgotten option is told in one line, not below a page of usage."""
    with pytest.raises(SystemExit) as stopped:
        main(words.split())
    assert stopped.value.code == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "closed", "status"),
    [
        ("inspect {model}", ">&-", 0),
        ("inspect --json {model}", ">&- 2>&-", 0),
        ("check --model {model} {mail}", ">&-", 0),
        ("check --model {model} - ", "<&-", 0),
        ("check --model {model} nope", "2>&-", 2),
        ("train --out {model}.again {corpus}", ">&- 2>&- <&-", 0),
    ],
)
def test_closed_streams(
    words: str, closed: str, status: int, model: Path, mail: Path, corpus: Path
) -> None:
    """A caller that closes a stream (cron, a daemon) gets the work and the status."""
    command = words.format(model=model, mail=mail, corpus=corpus)
    done = subprocess.run(
        ["sh", "-c", f"exec {sys.executable} -m winnow {command} {closed}"],
        capture_output=True,
    )
    assert (done.returncode, done.stderr) == (status, b"")
