"""Whatever happens to a file, what was good before it still loads, and the message says which file and why."""

import hashlib
import json
import os
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from sansheng import checkpoint
from sansheng.budget import Budget, Clock
from sansheng.errors import DataError
from sansheng.families.gan import GAN
from sansheng.loop import State, train
from sansheng.model import Batch
from sansheng.space import Real, Space

TENSORS = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor([1, 2], dtype=torch.int64), "c": torch.tensor(3.5)}
BUDGET = Budget(steps=20)


def new_state():
    torch.manual_seed(0)
    model = GAN(Space((Real(2),)), Call(nn.Linear(2, 2)), Call(nn.Linear(2, 1)), latent=2)
    return State(model, Clock.start(BUDGET))


class Call(nn.Module):
    """A layer in the role of a network."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x, t=None, condition=None):
        return self.layer(x)


def batches(step):
    return Batch(torch.randn(4, 2, generator=torch.Generator().manual_seed(step)))


def run_of_checkpoints(folder, at=(2, 4)):
    """A run that saved at those steps; the weights of each."""
    state, weights = new_state(), {}
    for step in train(state, batches, seed=0, budget=BUDGET):
        if step.step in at:
            checkpoint.save(folder, state)
            weights[step.step] = weights_of(state)
        if step.step == max(at):
            return weights
    raise AssertionError("the run ended first")


def weights_of(state):
    return {k: v.clone() for k, v in state.model.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def newest(folder):
    return folder / checkpoint.entries(folder)[0]["file"]


def flip_bit(path, where=-1):
    content = bytearray(path.read_bytes())
    content[where] ^= 1
    path.write_bytes(content)


# -- tensors and JSON --------------------------------------------------------------------------------------------


def test_tensors_come_back_as_they_went(tmp_path):
    path = tmp_path / "t.safetensors"
    digest = checkpoint.write_tensors(path, TENSORS)
    back = checkpoint.read_tensors(path, digest)
    assert back.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert back[name].dtype == tensor.dtype
        assert torch.equal(back[name], tensor)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()


def test_tensors_that_share_memory_are_each_written(tmp_path):
    base = torch.arange(6.0)
    checkpoint.write_tensors(tmp_path / "t", {"whole": base, "part": base[2:4], "turned": base.view(2, 3).T})
    back = checkpoint.read_tensors(tmp_path / "t")
    assert torch.equal(back["part"], base[2:4])
    assert torch.equal(back["turned"], base.view(2, 3).T)


def test_files_are_plain_safetensors(tmp_path):
    checkpoint.write_tensors(tmp_path / "ours", TENSORS)
    assert same(load_file(tmp_path / "ours"), TENSORS)
    save_file(TENSORS, tmp_path / "theirs")
    assert same(checkpoint.read_tensors(tmp_path / "theirs"), TENSORS)


@pytest.mark.parametrize("where", [3, 20, -1], ids=["length", "header", "data"])
def test_a_flipped_bit_is_found_and_the_file_named(tmp_path, where):
    path = tmp_path / "model.safetensors"
    digest = checkpoint.write_tensors(path, TENSORS)
    flip_bit(path, where)
    with pytest.raises(DataError, match=r"model\.safetensors has changed since it was written"):
        checkpoint.read_tensors(path, digest)


@pytest.mark.parametrize("keep", [0, 4, 30, -3])
def test_a_file_cut_short_is_named(tmp_path, keep):
    path = tmp_path / "model.safetensors"
    checkpoint.write_tensors(path, TENSORS)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"model\.safetensors is not a safetensors file"):
        checkpoint.read_tensors(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"model\.safetensors is missing"):
        checkpoint.read_tensors(tmp_path / "model.safetensors")
    with pytest.raises(DataError, match=r"recipe\.json is missing.*folder of a run"):
        checkpoint.read_json(tmp_path / "recipe.json")


class Touch:
    """Makes a file when unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.mark.parametrize("kind", ["pickle", "torch"])
def test_a_pickle_is_refused_and_not_executed(tmp_path, kind):
    path, victim = tmp_path / "model.safetensors", tmp_path / "victim"
    if kind == "pickle":
        path.write_bytes(pickle.dumps(Touch(str(victim))))
    else:
        torch.save({"w": Touch(str(victim))}, path)
    with pytest.raises(DataError, match="not a safetensors file"):
        checkpoint.read_tensors(path)
    assert not victim.exists()


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe\x00", b""])
def test_broken_json_is_named(tmp_path, content):
    (tmp_path / "recipe.json").write_bytes(content)
    with pytest.raises(DataError, match=r"recipe\.json is not valid JSON"):
        checkpoint.read_json(tmp_path / "recipe.json")


def test_json_keeps_its_letters_and_numbers(tmp_path):
    content = {"name": "三生 · Zoë", "progress": 0.1 + 0.2, "list": [1, None, True]}
    checkpoint.write_json(tmp_path / "x.json", content)
    assert checkpoint.read_json(tmp_path / "x.json") == content
    assert "三生" in (tmp_path / "x.json").read_text("utf-8")


# -- checkpoints -------------------------------------------------------------------------------------------------


def test_the_newest_checkpoint_is_restored(tmp_path):
    weights = run_of_checkpoints(tmp_path)
    state = new_state()
    assert checkpoint.restore(tmp_path, state) is None
    assert state.step == 4
    assert same(weights_of(state), weights[4])


def test_the_clock_comes_back_exactly(tmp_path):
    state = new_state()
    state.clock = Clock([(0, 0.0, 1e-6), (7, 0.1, 1 / 3), (9, 0.1 + 0.2, 0.0)], seconds=12.345678901234567)
    state.clock.threads = [(0, 2), (7, 1)]
    state.step = 9
    checkpoint.save(tmp_path, state)
    other = new_state()
    checkpoint.restore(tmp_path, other)
    assert other.clock.knots == state.clock.knots
    assert other.clock.threads == state.clock.threads
    assert other.clock.seconds == state.clock.seconds
    assert other.step == 9


def test_two_checkpoints_are_kept(tmp_path):
    run_of_checkpoints(tmp_path, at=(1, 2, 3, 5))
    assert [e["step"] for e in checkpoint.entries(tmp_path)] == [5, 3]
    assert len(list(tmp_path.glob("*.safetensors"))) == 2


def test_saving_a_step_again_keeps_the_one_before(tmp_path):
    weights = run_of_checkpoints(tmp_path)
    state = new_state()
    checkpoint.restore(tmp_path, state)
    checkpoint.save(tmp_path, state)
    assert [e["step"] for e in checkpoint.entries(tmp_path)] == [4, 2]
    flip_bit(newest(tmp_path))
    checkpoint.restore(tmp_path, state)
    assert same(weights_of(state), weights[2])


def damage(kind, path):
    if kind == "flipped":
        flip_bit(path)
    elif kind == "cut":
        path.write_bytes(path.read_bytes()[:100])
    elif kind == "empty":
        path.write_bytes(b"")
    else:
        path.unlink()


@pytest.mark.parametrize("kind", ["flipped", "cut", "empty", "gone"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before_and_says_so(tmp_path, kind):
    weights = run_of_checkpoints(tmp_path)
    broken = newest(tmp_path)
    damage(kind, broken)
    state = new_state()
    remark = checkpoint.restore(tmp_path, state)
    assert broken.name in remark
    assert "step 2" in remark
    assert state.step == 2
    assert same(weights_of(state), weights[2])


def test_with_every_checkpoint_damaged_nothing_is_loaded(tmp_path):
    run_of_checkpoints(tmp_path)
    broken = newest(tmp_path)
    for entry in checkpoint.entries(tmp_path):
        flip_bit(tmp_path / entry["file"])
    state = new_state()
    before = weights_of(state)
    with pytest.raises(DataError, match=broken.name):
        checkpoint.restore(tmp_path, state)
    assert same(weights_of(state), before)
    assert state.step == 0


def test_an_empty_folder_holds_no_checkpoint(tmp_path):
    with pytest.raises(DataError, match="no checkpoint"):
        checkpoint.restore(tmp_path, new_state())


def test_files_left_by_a_killed_process_are_ignored(tmp_path):
    weights = run_of_checkpoints(tmp_path)
    (tmp_path / ".step-000000009.safetensors.123.tmp").write_bytes(b"half")
    (tmp_path / ".manifest.json.123.tmp").write_bytes(b"[{")
    (tmp_path / "step-000000099.safetensors").write_bytes(b"written, but never entered in the manifest")
    state = new_state()
    assert checkpoint.restore(tmp_path, state) is None
    assert same(weights_of(state), weights[4])


def test_nothing_is_left_aside_after_writing(tmp_path):
    run_of_checkpoints(tmp_path)
    assert not [p.name for p in tmp_path.iterdir() if p.name.endswith(".tmp")]
    assert (tmp_path / checkpoint.MANIFEST).exists()


def test_a_file_is_replaced_at_once(tmp_path, monkeypatch):
    """Until the new file is whole and renamed, the old one is what a reader sees."""
    path, seen = tmp_path / "x.json", []
    checkpoint.write_json(path, {"version": 1})
    rename = os.replace

    def watched(a, b):
        seen.append(json.loads(path.read_text("utf-8"))["version"])
        seen.append(json.loads(Path(a).read_text("utf-8"))["version"])
        rename(a, b)

    monkeypatch.setattr(os, "replace", watched)
    checkpoint.write_json(path, {"version": 2})
    assert seen == [1, 2]
    assert checkpoint.read_json(path) == {"version": 2}


def test_a_full_disk_says_how_much_is_needed_and_leaves_the_old_file(tmp_path):
    """A limit on file size stands in for a full disk: the write stops in the middle."""
    code = """
        import resource, signal, sys
        from pathlib import Path
        import torch
        from sansheng import checkpoint

        path = Path(sys.argv[1])
        checkpoint.write_tensors(path, {"w": torch.zeros(4)})
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            checkpoint.write_tensors(path, {"w": torch.ones(1_000_000)})
        except OSError as error:
            print(error)
        print(checkpoint.read_tensors(path)["w"].tolist(), [p.name for p in path.parent.iterdir()])
    """
    pytest.importorskip("resource")
    path = tmp_path / "model.safetensors"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    message, after = done.stdout.strip().splitlines()
    assert str(path) in message
    assert "3.8 MiB" in message
    assert after == "[0.0, 0.0, 0.0, 0.0] ['model.safetensors']"


def test_a_model_of_another_shape_is_not_loaded(tmp_path):
    run_of_checkpoints(tmp_path)
    model = GAN(Space((Real(3),)), Call(nn.Linear(2, 3)), Call(nn.Linear(3, 1)), latent=2)
    with pytest.raises(RuntimeError, match="size mismatch"):
        checkpoint.restore(tmp_path, State(model, Clock.start(BUDGET)))
