"""The command line: parse, call, print; and what can go wrong, in one line with an exit code.

The one constraint: importing this imports neither torch nor numpy.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from cyclopts.exceptions import CycloptsError, MissingArgumentError, UnknownOptionError, UnusedCliTokensError

from sansheng.cli import filling as _filling  # noqa: F401  (its commands)
from sansheng.cli import latent as _latent  # noqa: F401  (its commands)
from sansheng.cli.commands import app

__all__ = ["app", "main"]

FAILED, MISTAKE, INTERRUPTED = 1, 2, 130
MISTAKES = (
    ValueError, TypeError, FileExistsError, FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError,
)  # fmt: skip
KEPT = {
    "compare": "; models trained before are kept, and --resume goes on from them",
    **dict.fromkeys(("train", "resume"), "; if training had begun, what was saved is kept (sansheng resume RUN)"),
}
"""What a command that is stopped while it does not train, or while it saves, leaves behind."""
LESS = "ask for less at a time: a smaller --parameters or --set batch=32, or fewer samples"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    0: done. 1: it failed. 2: a mistake in what was asked, and nothing was changed. 130, 143: stopped by Ctrl-C or
    SIGTERM. Anything unforeseen is raised.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words or os.environ.get("SANSHENG_DEBUG", "0") not in ("", "0")
    words = [word for word in words if word != "--debug"]
    try:
        app(words, exit_on_error=False, print_error=False, verbose=False, result_action="return_value")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes at its end
        return FAILED
    except KeyboardInterrupt:
        print(f"\nsansheng: stopped{KEPT.get(words[0], '') if words else ''}", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        verdict = _verdict(error, words)
        if verdict is None:
            raise
        if debug:
            traceback.print_exc()
        print("sansheng:", re.sub(r"\s*\n\s*", " ", verdict[1]), file=sys.stderr)
        return verdict[0]
    return 0


def _verdict(error: Exception, words: Sequence[str]) -> tuple[int, str] | None:
    """(exit code, what to say) of an error; None for one that nobody foresaw."""
    if isinstance(error, CycloptsError):
        return MISTAKE, _usage(error)
    if isinstance(error, OSError):
        text = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
        return MISTAKE if isinstance(error, MISTAKES) else FAILED, text
    if isinstance(error, MISTAKES):
        return MISTAKE, str(error)
    if isinstance(error, MemoryError) or re.search(r"out of memory|allocate memory|not enough memory", str(error)):
        return FAILED, f"out of memory; {LESS}"
    return _verdict_on_training(error, words)


def _verdict_on_training(error: Exception, words: Sequence[str]) -> tuple[int, str] | None:
    from sansheng.session import Interrupted, TrainingFailed

    if isinstance(error, TrainingFailed):
        return FAILED, str(error)
    if isinstance(error, Interrupted):
        return 128 + error.signum, f"{error}. To go on: {_way_on(words, error.path)}"
    return None


def _way_on(words: Sequence[str], path: Path) -> str:
    """The command that goes on where this one was stopped while training the run at `path`."""
    if words[:1] != ["compare"]:
        return shlex.join(["sansheng", "resume", str(path)])
    command = [word for word in words if word not in ("--force", "--resume")]
    if not any(word.split("=")[0] == "--out" for word in words):
        command += ["--out", str(path.parent)]
    return shlex.join(["sansheng", *command, "--resume"])


def _usage(error: CycloptsError) -> str:
    """What is wrong with the command itself, and what there is instead."""
    if isinstance(error, UnusedCliTokensError):
        return f"unexpected: {shlex.join(error.unused_tokens or [])} (quote a path with spaces)"
    text = str(error)
    if isinstance(error, UnknownOptionError):
        options = sorted({a.name for a in error.argument_collection if a.parse and a.name.startswith("-")})
        return f"{text} Valid: {', '.join(options)}"
    if isinstance(error, MissingArgumentError) and error.argument and error.argument.parameter.help:
        text = f"{text} {error.argument.name}: {error.argument.parameter.help}"
    return f"{text} See: {shlex.join(['sansheng', *(error.command_chain or ()), '--help'])}"
