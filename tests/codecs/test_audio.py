"""Sound: the mathematics of spectra, the rule by which recordings are read, and what comes back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from sansheng import codecs
from sansheng.codecs import audio, audio_file
from sansheng.codecs.base import Reading, Records
from sansheng.codecs.spectrum import (
    FLOOR,
    from_log_mel,
    from_spectrum,
    griffin_lim,
    log_mel,
    mel_filters,
    spectrum,
    to_hertz,
    to_mels,
)
from sansheng.errors import DataError

RATE, HOP = 8000, 64


def tones(n: int = 6, samples: int = 4096, rate: int = RATE) -> np.ndarray:
    """Short tones of different pitch, each in silence."""
    time = np.arange(samples) / rate
    pitch = np.linspace(300, 1500, n)[:, None]
    return (np.sin(2 * np.pi * pitch * time) * np.hanning(samples)).astype(np.float32)


def write(folder: Path, name: str, wave: np.ndarray, rate: int = RATE) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, rate)


# -- spectra -------------------------------------------------------------------------------------------------


def test_mels_are_slaneys() -> None:
    np.testing.assert_allclose(to_mels(np.array([0.0, 500.0, 1000.0])), [0, 7.5, 15])
    np.testing.assert_allclose(to_mels(np.array([6400.0])), [42])  # a factor of 6.4 is 27 mels
    hertz = np.linspace(0, 8000, 50)
    np.testing.assert_allclose(to_hertz(to_mels(hertz)), hertz, atol=1e-9)


def test_every_filter_has_area_one_over_its_hertz() -> None:
    filters = mel_filters(RATE, 8192, 20).numpy()
    np.testing.assert_allclose(filters.sum(1) * RATE / 8192, 1, atol=0.02)
    peaks = filters.argmax(1) * RATE / 8192
    edges = to_hertz(np.linspace(0, float(to_mels(np.array(RATE / 2))), 22))
    np.testing.assert_allclose(peaks, edges[1:-1], atol=2 * RATE / 8192)


def test_a_spectrum_is_inverted_exactly() -> None:
    waves = torch.randn(3, 20 * HOP, generator=torch.Generator().manual_seed(0))
    spectra = spectrum(waves, HOP)
    assert spectra.shape == (3, HOP + 1, 21)
    torch.testing.assert_close(from_spectrum(spectra, HOP), waves, atol=1e-5, rtol=0)


def test_a_tone_stands_at_its_pitch() -> None:
    magnitude = spectrum(torch.from_numpy(tones(1)), HOP).abs()[0].mean(1)
    assert abs(int(magnitude.argmax()) * RATE / (2 * HOP) - 300) <= RATE / (2 * HOP)


def test_more_rounds_of_griffin_and_lim_find_more_consistent_waves() -> None:
    magnitude = spectrum(torch.from_numpy(tones()) + 0.1 * torch.randn(6, 4096), HOP).abs()
    errors = [
        float((spectrum(griffin_lim(magnitude, HOP, rounds=rounds), HOP).abs() - magnitude).norm() / magnitude.norm())
        for rounds in (1, 8, 32)
    ]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.5 * errors[0]


def test_a_mel_picture_comes_back_nearly_as_it_was_and_silence_as_silence() -> None:
    waves, filters = torch.from_numpy(tones()), mel_filters(RATE, 2 * HOP, 32)
    waves[0] = 0
    picture = log_mel(waves, filters, HOP)
    assert picture.shape == (6, 32, 64)
    assert picture.min() == pytest.approx(np.log(FLOOR))
    again = from_log_mel(picture, filters, HOP)
    assert not again[0].any()
    loud = picture > picture.amax((1, 2), keepdim=True) - 3
    assert (log_mel(again, filters, HOP) - picture)[loud].abs().mean() < 0.3


# -- the codec -----------------------------------------------------------------------------------------------


def fitted(representation: str = "mel") -> tuple[audio.AudioCodec, Records]:
    source = audio_file.from_waves(tones(12), {"rate": str(RATE), "representation": representation, "mels": "32"})
    return audio.AudioCodec.fit(source.records), source.records


def test_a_complex_spectrum_is_lossless() -> None:
    codec, records = fitted("stft")
    x = codec.encode(records).x
    assert x.shape[1:] == codec.space.shape
    assert x.abs().max() <= 1
    np.testing.assert_allclose(codec.decode(x).values, records.values, atol=2e-4)


def test_mel_numbers_go_from_silence_to_the_loudest() -> None:
    codec, records = fitted()
    x = codec.encode(records).x
    assert x.min() == -1
    assert x.max() == pytest.approx(1, abs=1e-5)
    decoded = codec.decode(x)
    assert np.abs(decoded.values).max() <= 1
    again = codec.encode(decoded).x
    assert (again - x).abs()[x > 0].mean() < 0.1


def test_pictures_are_the_same_whatever_the_representation() -> None:
    (mel, records), (stft, _) = fitted("mel"), fitted("stft")
    np.testing.assert_array_equal(mel.pictures(records.values), stft.pictures(records.values))


def test_a_louder_peak_than_in_training_stays_in_range() -> None:
    codec, records = fitted()
    assert codec.encode(Records(3 * records.values)).x.abs().max() <= 1


# -- reading -------------------------------------------------------------------------------------------------


def test_the_rule_centres_what_is_short_and_keeps_the_loudest_of_what_is_long() -> None:
    short, cut = audio_file.fit_wave(np.array([1.0, -1.0]), 6)
    assert not cut
    np.testing.assert_allclose(short, [0, 0, 0.95, -0.95, 0, 0], atol=1e-6)
    wave = np.zeros(100)
    wave[60:64] = [1, -1, 1, -1]
    kept, cut = audio_file.fit_wave(wave, 4)
    assert cut
    np.testing.assert_allclose(np.abs(kept), 0.95, atol=1e-6)
    assert not audio_file.fit_wave(np.full(10, 0.3), 10)[0].any()


def test_rates_channels_formats_and_patterns_are_read_and_said(tmp_path: Path) -> None:
    for i, wave in enumerate(tones(4, 4000)):
        write(tmp_path, f"{i % 2}_ann_{i}.wav", wave)
    high = tones(2, 8000, 2 * RATE)
    write(tmp_path, "0_bob_0.flac", np.stack([high[0], high[0]], axis=1), 2 * RATE)
    write(tmp_path, "1_bob_1.ogg", high[1], 2 * RATE)
    write(tmp_path, "strange.wav", tones(1, 4000)[0])
    assert codecs.guess(tmp_path) == "audio"
    reading = Reading(options={"label_pattern": "{digit}_{speaker}_{take}.wav"})
    found = codecs.read(tmp_path, "audio", reading)
    records, notes = found.records, "\n".join(found.notes)
    assert len(records) == 6
    assert records.about["rate"] == RATE
    assert records.labels["digit"].tolist() == [0, 0, 0, 1, 1, 1]
    assert sorted(set(records.labels["speaker"])) == ["ann", "bob"]
    assert "1 file called otherwise left out" in notes
    assert "resampled to 8,000 Hz: 2 of 16,000 Hz" in notes
    assert "channels averaged in 1 recording" in notes
    same = [i for i, who in enumerate(records.labels["speaker"]) if records.labels["digit"][i] == 0 and who == "bob"]
    pitch = np.abs(np.fft.rfft(records.values[same[0]])).argmax() * RATE / records.values.shape[1]
    assert pitch == pytest.approx(300, abs=5)  # resampling keeps the pitch


def test_names_that_may_say_something_are_pointed_out(tmp_path: Path) -> None:
    for i, wave in enumerate(tones(4, 3000)):
        write(tmp_path / "fields", f"{i % 2}_ann_{i}.wav", wave)
        write(tmp_path / "numbered", f"take_{i}.wav", wave)
    hints = [note for note in codecs.read(tmp_path / "fields", "audio").notes if "--label-pattern" in note]
    assert hints == [
        'no labels; names such as 0_ann_0.wav may say some, with --label-pattern "{a}_{b}_{c}" or better names'
    ]
    assert not any("--label-pattern" in note for note in codecs.read(tmp_path / "numbered", "audio").notes)


def test_labels_from_sub_folders_and_a_split_of_ones_own(tmp_path: Path) -> None:
    for i, wave in enumerate(tones(8, 3000)):
        write(tmp_path, f"{('train', 'test')[i // 4]}/{'ab'[i % 2]}/{i}.wav", wave)
    found = codecs.read(tmp_path, "audio")
    assert found.test is not None
    assert found.records.labels["label"].tolist() == ["a", "a", "b", "b"]
    assert found.records.names == ["train/a/0.wav", "train/a/2.wav", "train/b/1.wav", "train/b/3.wav"]


def test_a_recording_that_comes_again_is_left_out_wherever_it_stands(tmp_path: Path) -> None:
    """Held-out recordings that were trained on as well would make copies look like new ones."""
    wave = tones(6, 3000)
    for i in range(4):
        write(tmp_path, f"train/{i}.wav", wave[i])
    write(tmp_path, "train/again.wav", wave[0])
    for i in (3, 4, 5):
        write(tmp_path, f"test/{i}.wav", wave[i])
    found = codecs.read(tmp_path, "audio")
    assert found.test is not None
    assert (len(found.records), list(found.test.names)) == (4, ["test/4.wav", "test/5.wav"])
    assert any(note.startswith("2 recordings left out, being another once more") for note in found.notes)


def test_broken_recordings_are_skipped_and_named_and_many_are_an_error(tmp_path: Path) -> None:
    for i, wave in enumerate(tones(8, 3000)):
        write(tmp_path, f"{i}.wav", wave)
    (tmp_path / "bad.wav").write_bytes(b"RIFF nonsense")
    assert any("skipped 1 broken: bad.wav" in note for note in codecs.read(tmp_path, "audio").notes)
    for i in range(5):
        (tmp_path / f"bad{i}.wav").write_bytes(b"")
    with pytest.raises(DataError, match="at most 20% may be broken"):
        codecs.read(tmp_path, "audio")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label_pattern": "plain"}, "needs fields in braces"),
        ({"label_pattern": "{a}-{b}-{c}"}, "no file is called"),
        ({"label_pattern": "{a_{b}"}, "braces around names alone"),
        ({"rate": "fast"}, "--rate is a number"),
        ({"mels": "3"}, "--mels is a number from 8"),
        ({"representation": "mels"}, "Did you mean 'mel'"),
    ],
)
def test_options_that_make_no_sense_are_refused(tmp_path: Path, options: dict[str, str], message: str) -> None:
    write(tmp_path, "a_b.wav", tones(1)[0])
    with pytest.raises(ValueError, match=message):
        codecs.read(tmp_path, "audio", Reading(options=options))


def test_a_folder_without_recordings_says_what_it_looked_for(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(DataError, match=r"no recordings; looked for \.wav"):
        codecs.read(tmp_path, "audio")


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    codec, records = fitted()
    labelled = Records(records.values, {"digit": np.arange(12) % 3}, records.about)
    codec.write(labelled, tmp_path / "out")
    assert pd.read_csv(tmp_path / "out" / "labels.csv").digit.tolist() == labelled.labels["digit"].tolist()
    again = codecs.read(tmp_path / "out", "audio", Reading(options={"seconds": "0.5", "rate": str(RATE)}))
    assert again.records.labels["digit"].tolist() == labelled.labels["digit"].tolist()
    np.testing.assert_allclose(again.records.values[:, :4096], records.values, atol=1e-3)
    for suffix in (".wav", ".npz", ".npy"):
        assert codec.write(labelled, tmp_path / f"all{suffix}")[0].stat().st_size > 0
    with np.load(tmp_path / "all.npz") as stored:
        assert stored["rate"] == RATE
    joined, rate = soundfile.read(tmp_path / "all.wav")
    assert (len(joined), rate) == (12 * (4096 + 2000), RATE)
    with pytest.raises(ValueError, match="suffix for recordings"):
        codec.write(labelled, tmp_path / "all.mp4")


def test_options_that_were_found_lay_other_recordings_out_alike(tmp_path):
    for folder, rate in (("a", 8000), ("b", 16000)):
        (tmp_path / folder).mkdir()
        for i in range(3):
            soundfile.write(tmp_path / folder / f"{i}.wav", np.sin(np.arange(rate * 3 // 5) * (0.1 + 0.1 * i)), rate)
    codec = audio.AudioCodec.fit(audio.read(tmp_path / "a").records)
    other = audio.read(tmp_path / "b", Reading(options=codec.reading()))
    assert other.records.about == codec.layout.to_json()
    assert codec.encode(other.records).x.shape[1:] == codec.space.shape


def test_a_test_split_of_repeats_alone_is_said_to_be_none(tmp_path: Path) -> None:
    for i, wave in enumerate(tones(4, 3000)):
        write(tmp_path, f"train/{i}.wav", wave)
        write(tmp_path, f"test/{i}.wav", wave)
    found = codecs.read(tmp_path, "audio")
    assert found.test is None
    assert any("none of the test split is left" in note for note in found.notes)
