"""Features of other people's networks, shown with stand-ins for the packages that have them."""

import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

from sansheng.metrics import extractors
from sansheng.metrics.extractors import IMAGENET, clip, dinov2, features_of, inception, prepare, rgb


def pictures(channels: int = 3, n: int = 5) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 8, 6, channels), dtype=np.uint8)


class Means(nn.Module):
    """A network whose features are the mean of each channel."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.float().mean((2, 3))


def stand_in(monkeypatch: pytest.MonkeyPatch, name: str, **members: object) -> None:
    module = ModuleType(name)
    module.__dict__.update(members)
    monkeypatch.setitem(sys.modules, name, module)


@pytest.mark.parametrize("batch", [2, 64])
def test_pictures_go_through_in_batches(batch: int) -> None:
    images = pictures()
    found = features_of(Means(), Means(), batch=batch)(images)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, images.mean((1, 2)), rtol=1e-5)


def test_no_picture_depends_on_its_neighbours() -> None:
    network = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(3 * 48), nn.Dropout())
    extract = features_of(network, network)
    np.testing.assert_array_equal(extract(pictures())[:1], extract(pictures()[:1]))


def test_grey_is_repeated_and_the_transparent_is_white() -> None:
    grey = torch.tensor([[[[10]]]], dtype=torch.uint8)
    assert rgb(grey).flatten().tolist() == [10, 10, 10]
    assert rgb(torch.tensor([[[[10, 0]]]], dtype=torch.uint8)).flatten().tolist() == [255, 255, 255]
    assert rgb(torch.tensor([[[[10, 20, 30, 255]]]], dtype=torch.uint8)).flatten().tolist() == [10, 20, 30]
    assert rgb(torch.tensor([[[[0, 100, 255, 51]]]], dtype=torch.uint8)).flatten().tolist() == [204, 224, 255]


def test_pictures_are_standardised_as_the_network_was_trained() -> None:
    mean, deviation = IMAGENET
    flat = torch.tensor(mean)[None, :, None, None].expand(1, 3, 5, 5) * 255
    assert prepare(flat, 14, mean, deviation).abs().max() < 1e-5
    assert torch.allclose(
        prepare(flat * 0 + 255, 14, mean, deviation)[0, 0], torch.full((14, 14), (1 - mean[0]) / deviation[0])
    )


@pytest.mark.parametrize(
    "images", [np.zeros((2, 4, 4, 3)), np.zeros((2, 4, 4), np.uint8), np.zeros((0, 4, 4, 1), "u1")]
)
def test_what_is_no_picture_is_refused(images: np.ndarray) -> None:
    with pytest.raises(Exception, match=r"pictures must be uint8|images"):
        features_of(Means(), Means())(images)


def test_inception_gets_whole_pictures_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Network(nn.Module):
        def __init__(self, name: str, features: list[str]) -> None:
            super().__init__()
            assert (name, features) == ("inception-v3-compat", ["2048"])

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
            assert x.dtype == torch.uint8
            return (x.float().mean((2, 3)),)

    stand_in(monkeypatch, "torch_fidelity", __path__=[])
    stand_in(monkeypatch, "torch_fidelity.feature_extractor_inceptionv3", FeatureExtractorInceptionV3=Network)
    np.testing.assert_allclose(inception()(pictures()), pictures().mean((1, 2)), rtol=1e-5)


@pytest.mark.parametrize(("make", "side"), [(dinov2, 224), (clip, 224), (lambda: dinov2(side=28), 28)])
def test_timm_gets_what_it_was_trained_on(monkeypatch: pytest.MonkeyPatch, make, side: int) -> None:
    seen: list[torch.Size] = []

    class Watching(Means):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(x.shape)
            return super().forward(x)

    def create_model(name: str, *, pretrained: bool, **options: object) -> nn.Module:
        assert pretrained
        torch.rand(3)  # as a constructor that draws weights would
        return Watching()

    stand_in(monkeypatch, "timm", create_model=create_model)
    before = torch.random.get_rng_state()
    assert make()(pictures()).shape == (5, 3)
    assert seen == [torch.Size((5, 3, side, side))]
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ModuleNotFoundError, match=r"timm: pip install 'sansheng\[features\]'"):
        dinov2()


def test_weights_that_cannot_be_had_are_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> nn.Module:
        raise OSError("no route to host")

    stand_in(monkeypatch, "timm", create_model=offline)
    with pytest.raises(ConnectionError, match="be online once"):
        clip()


@pytest.mark.parametrize("side", [0, 13, 30])
def test_sides_are_multiples_of_the_patch(side: int) -> None:
    with pytest.raises(ValueError, match="multiple of 14"):
        dinov2(side=side)


def test_the_extra_exists() -> None:
    from importlib.metadata import metadata

    assert extractors.EXTRA in (metadata("sansheng").get_all("Provides-Extra") or [])
