"""The command line: what is typed wrong costs one line and nothing else; what is stopped can go on."""

from __future__ import annotations

import importlib
import io
import json
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sansheng import builtin, checkpoint, run, session
from sansheng.budget import Budget
from sansheng.cli import main
from sansheng.cli.options import SOURCE, read_limit, read_pairs, read_size, split_names
from sansheng.console import Reporter
from sansheng.events import Event
from sansheng.families import FAMILIES
from sansheng.loop import State
from sansheng.recipe import Recipe

TINY = ("--parameters", "5k", "--quiet")
TWO_STEPS = ("--steps", "2", *TINY)
Said = tuple[int, str, str]
Sansheng = Callable[..., Said]


@pytest.fixture
def sansheng(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sansheng:
    """Run a command in a folder of its own -> (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SANSHENG_DEBUG", raising=False)

    def call(*words: object) -> Said:
        capsys.readouterr()
        code = main([str(word) for word in words])
        return code, *capsys.readouterr()

    return call


def snapshot(folder: Path) -> dict[str, bytes | None]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder, with a space and more in its name, of data and of runs that are named as their data."""
    folder = tmp_path_factory.mktemp("Größe 三")
    rng = np.random.default_rng(3)
    labels = np.arange(60) % 2
    np.savez(folder / "image.npz", images=rng.integers(0, 256, (60, 6, 5, 1), dtype=np.uint8), labels=labels)
    np.save(folder / "array.npy", rng.standard_normal((40, 3)).astype(np.float32))
    (folder / "text.txt").write_text("".join(f"{'abc'[i % 3]}{'xyz'[i % 2]}\n" for i in range(40)), "utf-8")
    pd.DataFrame({"size": rng.exponential(1, 40), "job": rng.choice(["cook", "poet"], 40)}).to_csv(
        folder / "table.csv", index=False
    )
    for name, family, more in (
        ("image.npz", "gan", ["--condition", "label"]),
        ("array.npy", "flow", []),
        ("text.txt", "vae", []),
        ("table.csv", "vae", ["--condition", "job"]),
    ):
        out = folder / f"a run of {Path(name).stem}"
        assert main(["train", str(folder / name), "--family", family, "--out", str(out), *TWO_STEPS, *more]) == 0
    return folder


# -- mistakes --------------------------------------------------------------------------------------------------


def write_data(folder: Path) -> None:
    (folder / "empty").mkdir()
    (folder / "photos").mkdir()
    (folder / "photos" / "a.png").write_bytes(b"no image")
    (folder / "ragged.csv").write_text("a,b\n1,2\n3,4,5\n6,7\n")
    (folder / "constant.csv").write_text("a\n" + "1\n" * 9)
    (folder / "one.csv").write_text("a,b\n1,x\n")
    (folder / "good.csv").write_text("a,b\n" + "".join(f"{i},{'xy'[i % 2]}\n" for i in range(60)))
    (folder / "data.xyz").write_text("?")
    (folder / "taken").mkdir()
    (folder / "taken" / "thesis.txt").write_text("years of work")


TRAIN = "train good.csv --family vae --steps 2 --out new"
MISTAKES = {
    "train nowhere.csv --family vae --out new": "no such file or folder",
    "train digts --family vae --out new": "Did you mean digits",
    "train empty --family vae --out new": "empty",
    "train photos --family vae --out new": r"a\.png",
    "train ragged.csv --family vae --out new": r"ragged\.csv.*\b3\b",
    "train constant.csv --family vae --out new": "a: every value is 1",
    "train one.csv --family vae --out new": "only one row.*two are the least",
    "train data.xyz --family vae --out new": "known: .*csv",
    "train good.csv --as imge --family vae --out new": "Valid: array, audio, image, series, table, text",
    "train good.csv --family var --out new": "Did you mean 'vae'.*Valid: diffusion, flow, gan, vae",
    "train good.csv --out new": "--family: .*vae, gan, diffusion or flow",
    f"{TRAIN} --preset defalt": "Did you mean 'default'.*Valid: default, survey",
    f"{TRAIN} --stepz 3": "Did you mean --steps.*Valid: --alpha, --as",
    f"{TRAIN} --frobnicate": "Valid: --alpha, --as",
    f"{TRAIN} extra": "unexpected: extra",
    f"{TRAIN} --steps two": "--steps",
    f"{TRAIN} --set beat=4": "Did you mean 'beta'.*Valid: .*warm_up",
    f"{TRAIN} --set beta=much": "beta should be like 1.0, not 'much'",
    f"{TRAIN} --set beta": "--set needs NAME=VALUE",
    f"{TRAIN} --set beta=1 --set beta=2": "given twice",
    f"{TRAIN} --condition c": "'c'.*Valid: a, b",
    f"{TRAIN} --parameters huge": "250k, 1M",
    f"{TRAIN} --device abacus": "Valid: .*cpu",
    f"{TRAIN} --precision fp7": "Valid: auto, bf16, fp32",
    f"{TRAIN} --seed -1": "seed",
    f"{TRAIN} --budget 3s": "one of --budget, --steps and --smoke",
    "train good.csv --family vae --steps 0 --out new": "above zero",
    "train good.csv --family vae --budget soon --out new": "30s, 5m or 1h",
    "train good.csv --family vae --steps 2 --out taken": "taken exists and is never overwritten.*--force",
    "train good.csv --family vae --steps 2 --out taken --force": "not made by sansheng",
    "trian good.csv": 'Did you mean "train".*compare, resume, info',
    "compare good.csv --families vae,flw --steps 2 --out new": "Did you mean 'flow'",
    "compare good.csv --families , --steps 2 --out new": "no family",
    "compare good.csv --presets classic --steps 2 --out new": "Valid: default, survey",
    "compare good.csv --budget soon --out new": "30s, 5m or 1h",
    "compare good.csv --steps 2 --device abacus --out new": "Valid: .*cpu",
    "compare good.csv --steps 2 --seeds 0 --out new": "at least 1 seed",
    "compare good.csv --steps 2 --out taken": "taken exists and is never overwritten",
    "compare good.csv --steps 2 --out taken --force": "not made by sansheng",
    "compare good.csv --steps 2 --out new --resume": "no comparison to go on with",
    "sample nowhere -n 3": "no such run",
    "sample taken -n 3": r"recipe\.json is missing",
    "sample taken -n 3 --out good.csv": "good.csv exists and is never overwritten",
    "evaluate nowhere": "no such run",
    "resume nowhere": "no such run",
    "info nowhere": "no such file or folder",
}


@pytest.mark.parametrize("command", MISTAKES)
def test_a_mistake_is_one_line_and_changes_nothing(command: str, sansheng: Sansheng, tmp_path: Path) -> None:
    write_data(tmp_path)
    before = snapshot(tmp_path)
    code, out, err = sansheng(*shlex.split(command), *([] if "trian" in command else ["--quiet"]))
    assert code == 2, err
    assert out == ""
    assert err.startswith("sansheng: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert re.search(MISTAKES[command], err), err
    assert snapshot(tmp_path) == before


SAMPLE_MISTAKES = {
    ("image", "--sampler heun"): "GAN draws in one evaluation",
    ("image", "--where labl=1"): "Did you mean 'label'",
    ("image", "--where label=9"): "Valid: 0, 1",
    ("image", "--out new.csv"): r"Valid: .*\.png",
    ("image", "-n 0"): "at least one",
    ("image", "--device abacus"): "Valid: .*cpu",
    ("array", "--sampler huen"): "Did you mean 'heun'",
    ("array", "--where label=1"): "not conditioned on anything",
    ("array", "--steps 0"): "step",
    ("text", "--out new.png"): r"\.txt",
    ("table", "--out new"): r"\.csv",
    ("table", "--where job=bard"): "Valid: cook, poet",
}


@pytest.mark.parametrize(("name", "options"), SAMPLE_MISTAKES)
def test_a_mistake_in_what_to_draw_writes_nothing(
    name: str, options: str, models: Path, sansheng: Sansheng, tmp_path: Path
) -> None:
    before = snapshot(models)
    code, out, err = sansheng("sample", models / f"a run of {name}", "--quiet", *shlex.split(options))
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert re.search(SAMPLE_MISTAKES[name, options], err), err
    assert snapshot(tmp_path) == {}
    assert snapshot(models) == before


def test_debug_shows_where_it_happened(sansheng: Sansheng, monkeypatch: pytest.MonkeyPatch) -> None:
    code, _, err = sansheng("info", "nowhere", "--debug")
    assert (code, err.count("Traceback")) == (2, 1)
    monkeypatch.setenv("SANSHENG_DEBUG", "1")
    assert "Traceback" in sansheng("info", "nowhere")[2]


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (OSError(28, "no room to write model.safetensors"), 1, "no room to write"),
        (MemoryError(), 1, "--parameters"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), 1, "--set batch"),
        (RuntimeError("CUDA out of memory. Tried to allocate 20 GiB"), 1, "--set batch"),
        (session.TrainingFailed("training broke down\nwhat to try: less"), 1, "broke down what to try"),
        (PermissionError(13, "Permission denied", "/x"), 2, "/x: Permission denied"),
        (KeyboardInterrupt(), 130, "stopped"),
    ],
)
def test_a_failure_is_one_line_with_its_own_exit_code(
    error: BaseException, code: int, text: str, sansheng: Sansheng, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(run, "load", fail)
    said = sansheng("evaluate", "x", "--quiet")
    assert said[0] == code
    assert text in said[2]
    assert len(said[2].strip().splitlines()) == 1


def test_what_nobody_foresaw_is_not_hidden(sansheng: Sansheng, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **options: object) -> None:
        raise KeyError("a fault of ours")

    monkeypatch.setattr(run, "load", fail)
    with pytest.raises(KeyError):
        sansheng("evaluate", "x", "--quiet")


# -- stopping and going on -----------------------------------------------------------------------------------


def signal_at(step: int, signum: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a signal come while that step is being reported."""
    plain = Reporter.__call__

    def observe(self: Reporter, event: Event) -> None:
        plain(self, event)
        if event.kind == "step" and event.step == step:
            signal.raise_signal(signum)

    monkeypatch.setattr(Reporter, "__call__", observe)


def training(models: Path) -> tuple[str, ...]:
    return "train", str(models / "image.npz"), "--family", "gan", "--steps", "6", "--parameters", "5k", "--out"


@pytest.fixture(scope="module")
def unbroken(models: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The weights a run ends with that nothing stops."""
    out = tmp_path_factory.mktemp("unbroken") / "run"
    assert main([*training(models), str(out)]) == 0
    return (out / "model.safetensors").read_bytes()


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_saves_and_prints_the_command_that_ends_where_an_unbroken_run_does(
    signum: int, code: int, models: Path, unbroken: bytes, sansheng: Sansheng, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        signal_at(3, signum, patch)
        said, out, err = sansheng(*training(models), "a stopped run")
    assert (said, out) == (code, "")
    assert [entry["step"] for entry in checkpoint.entries(Path("a stopped run/checkpoint"))] == [3]
    hint = err.splitlines()[-1]
    command = shlex.split(hint[hint.index("sansheng resume") :])
    assert command == ["sansheng", "resume", "a stopped run"]
    assert sansheng("sample", "a stopped run")[2].count("sansheng resume") == 1
    assert sansheng(*command[1:])[:2] == (0, "a stopped run\n")
    assert Path("a stopped run/model.safetensors").read_bytes() == unbroken


def test_a_second_stop_while_saving_leaves_the_checkpoint_before(
    models: Path, unbroken: bytes, sansheng: Sansheng, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = checkpoint.save

    def stop(descriptor: int) -> None:
        signal.raise_signal(signal.SIGINT)

    def save_and_be_stopped(folder: Path, state: State) -> None:
        if state.step == 3:
            patch.setattr(checkpoint.os, "fsync", stop)
        save(folder, state)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a terminal, whatever ran before this
    with monkeypatch.context() as patch:
        patch.setattr(session, "CHECKPOINT_SECONDS", 0.0)  # a checkpoint after every step
        patch.setattr(checkpoint, "save", save_and_be_stopped)
        signal_at(3, signal.SIGINT, patch)
        code, _, err = sansheng(*training(models), "stopped")
    signal.signal(signal.SIGINT, before)
    assert code == 130
    assert err.splitlines()[-1].startswith("sansheng: stopped; if training had begun, what was saved is kept")
    assert [entry["step"] for entry in checkpoint.entries(Path("stopped/checkpoint"))] == [2, 1]
    assert sansheng("resume", "stopped")[0] == 0
    assert Path("stopped/model.safetensors").read_bytes() == unbroken


def test_a_comparison_that_was_stopped_says_how_it_goes_on(
    models: Path, sansheng: Sansheng, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("compare", str(models / "image.npz"), "--families", "gan", "--seeds", "2", "--steps", "4")
    words += ("--parameters", "5k")
    with monkeypatch.context() as patch:
        signal_at(3, signal.SIGINT, patch)
        code, out, err = sansheng(*words, "--force")
    assert (code, out) == (130, "")
    hint = err.splitlines()[-1]
    command = shlex.split(hint[hint.index("sansheng compare") :])
    assert command == ["sansheng", *words, "--out", "runs/image-compared-1", "--resume"]

    def refuse(*args: object, **options: object) -> None:
        raise ValueError("everything is trained, and scoring is not for this test")

    monkeypatch.setattr(importlib.import_module("sansheng.compare"), "fit_scorer", refuse)
    assert "everything is trained" in sansheng(*command[1:])[2]
    steps = [checkpoint.entries(Path(f"runs/image-compared-1/gan-default-{s}/checkpoint"))[0]["step"] for s in (0, 1)]
    assert steps == [4, 4]


def test_ctrl_c_in_a_shell_ends_with_130_and_no_traceback(tmp_path: Path) -> None:
    """The whole program, once, with a signal from outside."""
    words = [
        "train",
        "iris",
        "--family",
        "flow",
        "--budget",
        "300s",
        "--parameters",
        "5k",
        "--out",
        str(tmp_path / "r"),
    ]
    process = subprocess.Popen([sys.executable, "-m", "sansheng", *words], stderr=subprocess.PIPE, text=True)
    journal, deadline = tmp_path / "r" / "journal.jsonl", time.monotonic() + 90
    while time.monotonic() < deadline and not (journal.exists() and journal.stat().st_size):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert f"sansheng resume {tmp_path / 'r'}" in err
    assert checkpoint.entries(tmp_path / "r" / "checkpoint")


# -- drawing -------------------------------------------------------------------------------------------------


def read_csv(path: Path) -> pd.DataFrame:
    return pd.read_csv(path)


READERS: dict[tuple[str, str], Callable[[Path], int]] = {
    ("image", "x.npz"): lambda p: len(np.load(p)["images"]),
    ("image", "x.npy"): lambda p: len(np.load(p)),
    ("image", "x"): lambda p: len(list(p.glob("0*.png"))) if (p / "grid.png").exists() else -1,
    ("image", "x.png"): lambda p: 5 if Image.open(p).width > 5 else -1,
    ("array", "x.npy"): lambda p: len(np.load(p)),
    ("array", "x.npz"): lambda p: len(np.load(p)["data"]),
    ("array", "x.csv"): lambda p: len(read_csv(p)),
    ("text", "x.txt"): lambda p: len(p.read_text("utf-8").splitlines()),
    ("table", "x.csv"): lambda p: len(read_csv(p)),
    ("table", "x.parquet"): lambda p: len(pd.read_parquet(p)),
}


@pytest.mark.parametrize(("name", "file"), READERS)
def test_samples_are_written_as_the_suffix_asks_and_never_over_others(
    name: str, file: str, models: Path, sansheng: Sansheng, tmp_path: Path
) -> None:
    words = ("sample", models / f"a run of {name}", "--quiet", "--out", f"new folder/ü {file}")
    assert sansheng(*words, "-n", 5) == (0, f"new folder/ü {file}\n", "")
    target = tmp_path / "new folder" / f"ü {file}"
    assert READERS[name, file](target) == 5
    before = snapshot(tmp_path)
    assert sansheng(*words, "-n", 3)[0] == 2
    assert snapshot(tmp_path) == before
    assert sansheng(*words, "-n", 3, "--force")[0] == 0
    assert READERS[name, file](target) == 3 or file == "x.png"
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_force_never_removes_a_folder_with_other_files(models: Path, sansheng: Sansheng, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "holiday.png").write_bytes(b"sun")
    before = snapshot(tmp_path)
    code, _, err = sansheng("sample", models / "a run of image", "-n", 2, "--out", "mine", "--force", "--quiet")
    assert code == 2
    assert "'holiday.png'" in err
    assert snapshot(tmp_path) == before


def test_rows_and_lines_are_printed_as_they_would_be_written(models: Path, sansheng: Sansheng, tmp_path: Path) -> None:
    for name, suffix in (("table", ".csv"), ("array", ".csv"), ("text", ".txt")):
        words = ("sample", models / f"a run of {name}", "-n", 7, "--seed", 5, "--quiet")
        code, out, err = sansheng(*words)
        assert (code, err) == (0, "")
        assert sansheng(*words, "--out", f"{name}{suffix}")[0] == 0
        assert (tmp_path / f"{name}{suffix}").read_text("utf-8") == out
        assert len(out.splitlines()) == 7 + (suffix == ".csv")


def test_images_without_a_place_go_to_the_run(models: Path, sansheng: Sansheng) -> None:
    folder = models / "a run of image" / "samples-seed4"
    assert sansheng("sample", models / "a run of image", "-n", 3, "--seed", 4, "--quiet") == (0, f"{folder}\n", "")
    assert len(list(folder.glob("0*.png"))) == 3


def test_what_is_asked_for_is_given(models: Path, sansheng: Sansheng) -> None:
    code, out, _ = sansheng("sample", models / "a run of table", "-n", 9, "--where", "job=poet", "--quiet")
    assert code == 0
    assert set(pd.read_csv(io.StringIO(out))["job"]) == {"poet"}


def test_the_same_seed_prints_the_same_rows_and_another_does_not(models: Path, sansheng: Sansheng) -> None:
    words = ("sample", models / "a run of array", "-n", 4, "--quiet", "--seed")
    assert sansheng(*words, 1) == sansheng(*words, 1)
    assert sansheng(*words, 1) != sansheng(*words, 2)


# -- the other commands --------------------------------------------------------------------------------------


def test_scores_are_printed_for_people_and_for_programs(models: Path, sansheng: Sansheng) -> None:
    words = ("evaluate", models / "a run of array", "-n", 30, "--quiet")
    scores = json.loads(sansheng(*words, "--json")[1], parse_constant=lambda text: pytest.fail(f"{text} is no JSON"))
    assert set(scores["frechet"]) == {"value", "low", "high", "n", "better", "unit"}
    table = sansheng(*words)[1].splitlines()
    assert len(table) == 1 + len(scores)
    assert any(f"{scores['frechet']['value']:.4g}" in line for line in table)


def test_options_reach_the_comparison(sansheng: Sansheng, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, object] = {}

    class Made:
        report = Path("a/report.html")

        def table(self) -> tuple[list[str], list[list[str]]]:
            return ["model", "rank"], [["gan", "1"]]

    def pretend(source: str, **options: object) -> Made:
        asked.update(options, source=source)
        return Made()

    monkeypatch.setattr(importlib.import_module("sansheng.compare"), "compare", pretend)
    code, out, _ = sansheng("compare", "iris", "--families", "vae, gan", "--presets", "survey,default", "--smoke")
    assert (code, out.split()) == (0, ["model", "rank", "gan", "1", "report:", "a/report.html"])
    assert (asked["source"], asked["families"], asked["presets"]) == ("iris", ("vae", "gan"), ("survey", "default"))
    assert (asked["steps"], asked["seeds"], asked["samples"]) == (2, 1, 100)
    sansheng("compare", "iris", "--budget", "2m", "--seeds", 5, "--condition", "species", "--samples", 7, "--out", "x")
    assert (asked["budget"], asked["seeds"], asked["samples"], asked["out"]) == ("120.0s", 5, 7, "x")
    assert (asked["condition"], asked["force"], asked["resume"]) == (("species",), False, False)


def test_info_says_what_was_understood_and_what_a_run_is(models: Path, sansheng: Sansheng) -> None:
    code, out, _ = sansheng("info", models / "table.csv", "--quiet")
    assert code == 0
    for text in ("size", "number", "job", "category", "30 to train on, 10 held out", "steps of", *FAMILIES):
        assert text in out
    code, out, _ = sansheng("info", models / "a run of table")
    assert code == 0
    assert "vae (default)" in out
    assert "2 steps" in out


def test_a_dry_run_tells_and_writes_nothing(models: Path, sansheng: Sansheng, tmp_path: Path) -> None:
    words = ("train", models / "table.csv", "--family", "gan", "--set", "gamma=0.125", "--budget", "90s", "--quiet")
    code, out, err = sansheng(*words, "--dry-run")
    assert (code, err) == (0, "")
    for text in ("gamma=0.125", "90s", "category", "30 to train on", "steps of"):
        assert text in out
    assert snapshot(tmp_path) == {}


def test_options_reach_the_recipe(models: Path, sansheng: Sansheng) -> None:
    words = shlex.split(
        "--family diffusion --steps 2 --parameters 6k --seed 7 --precision fp32 --device cpu --set drop=0.25 "
        "--set batch=8 --condition job --as table --out here --quiet"
    )
    assert sansheng("train", models / "table.csv", *words) == (0, "here\n", "")
    recipe = Recipe.model_validate(json.loads(Path("here/recipe.json").read_text("utf-8")))
    assert (recipe.family, recipe.seed, recipe.steps, recipe.parameters, recipe.batch) == ("diffusion", 7, 2, 6000, 8)
    assert recipe.settings["drop"] == 0.25
    assert recipe.data.condition == ("job",)


def test_smoke_trains_saves_and_scores(models: Path, sansheng: Sansheng) -> None:
    assert sansheng("train", models / "array.npy", "--family", "gan", "--smoke", *TINY, "--out", "r") == (0, "r\n", "")
    assert json.loads(Path("r/scores.json").read_text())
    assert checkpoint.entries(Path("r/checkpoint"))[0]["step"] == 2


def test_quiet_is_quiet_and_otherwise_progress_goes_to_standard_error(models: Path, sansheng: Sansheng) -> None:
    words = training(models)
    code, out, err = sansheng(*words, "r")
    assert (code, out) == (0, "r\n")
    assert "step 6" in err
    assert err.splitlines()[-1] == "draw from it: sansheng sample r -n 100"
    assert sansheng(*words, "q", "--quiet") == (0, "q\n", "")


def test_force_replaces_a_run(models: Path, sansheng: Sansheng) -> None:
    words = (*training(models), "r")
    sansheng(*words)
    first = Path("r/model.safetensors").read_bytes()
    assert sansheng(*words, "--seed", 1)[0] == 2
    assert Path("r/model.safetensors").read_bytes() == first
    assert sansheng(*words, "--seed", 1, "--force")[0] == 0
    assert Path("r/model.safetensors").read_bytes() != first


# -- what is typed, and help ---------------------------------------------------------------------------------


def test_what_is_typed_is_read() -> None:
    assert [read_size(text) for text in (None, "400000", "250k", "1M", "1.5m")] == [
        None,
        400_000,
        250_000,
        10**6,
        1_500_000,
    ]
    assert split_names(["a, b", "c", ""]) == ("a", "b", "c")
    assert read_pairs("--set", ["a=1", "b=x=y", "c="]) == {"a": "1", "b": "x=y", "c": ""}
    assert read_limit(None, None) == Budget(seconds=60.0)
    assert read_limit("5m", None) == Budget(seconds=300.0)
    assert read_limit(None, 7) == Budget(steps=7)
    for text in ("0", "-5", "1G", "k", "", "nan"):
        with pytest.raises(ValueError, match="250k"):
            read_size(text)


def test_help_names_every_built_in_data_set() -> None:
    assert SOURCE.help is not None
    assert SOURCE.help.split("built-in name: ")[1].rstrip(".").split(", ") == list(builtin.names())


@pytest.fixture(scope="module")
def help_time() -> tuple[float, str]:
    """(seconds that help takes beyond a bare Python, the better of three; what it prints)."""
    code = "import sys; from sansheng.cli import main; main(['--help']); print(sorted(sys.modules), file=sys.stderr)"
    times: dict[str, list[float]] = {code: [], "pass": []}
    said = ""
    for _ in range(3):
        for program, seconds in times.items():
            began = time.perf_counter()
            done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
            seconds.append(time.perf_counter() - began)
            if program == code:
                said = done.stdout + done.stderr
    return min(times[code]) - min(times["pass"]), said


def test_help_comes_at_once_and_loads_nothing_heavy(help_time: tuple[float, str]) -> None:
    seconds, said = help_time
    assert seconds < 0.5
    for command in ("train", "sample", "evaluate", "compare", "resume", "info"):
        assert command in said
    for module in ("torch", "numpy", "pandas", "sklearn", "matplotlib", "scipy", "PIL", "pydantic"):
        assert f"'{module}'" not in said


@pytest.mark.parametrize("command", ["train", "sample", "evaluate", "compare", "resume", "info"])
def test_each_command_shows_an_example_that_it_understands(command: str, sansheng: Sansheng) -> None:
    from sansheng.cli import app

    code, out, _ = sansheng(command, "--help")
    assert code == 0
    examples = [line.strip() for line in out.splitlines() if line.startswith("    sansheng ")]
    assert examples
    for example in examples:
        app.parse_args(shlex.split(example.split(" > ")[0])[1:], exit_on_error=False, print_error=False)


def test_a_closed_pipe_is_no_drama(models: Path) -> None:
    words = shlex.join([sys.executable, "-m", "sansheng", "sample", str(models / "a run of text"), "-n", "2000"])
    done = subprocess.run(["sh", "-c", f"{words} --quiet | head -n 1"], capture_output=True, text=True, check=False)
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
