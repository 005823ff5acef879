"""What is typed wrong costs one line and nothing else."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from commands import Sansheng, snapshot
from sansheng import run, session


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
