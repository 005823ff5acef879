"""The command line: what it draws, prints, writes and understands."""

from __future__ import annotations

import importlib
import io
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from commands import TINY, Sansheng, snapshot, training
from sansheng import builtin, checkpoint
from sansheng.budget import Budget
from sansheng.cli.options import SOURCE, read_limit, read_pairs, read_size, split_names
from sansheng.families import FAMILIES
from sansheng.recipe import Recipe

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
    """(processor seconds that help takes beyond a bare Python, the better of three; what it prints).

    Processor seconds, as all that help does is compute: what else the machine runs does not lengthen them.
    """
    code = "import sys; from sansheng.cli import main; main(['--help']); print(sorted(sys.modules), file=sys.stderr)"
    times: dict[str, list[float]] = {code: [], "pass": []}
    said = ""
    for _ in range(3):
        for program, seconds in times.items():
            before = os.times()
            done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
            after = os.times()
            seconds.append(sum(after[2:4]) - sum(before[2:4]))
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
