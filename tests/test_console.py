"""Progress is told on standard error, no more often than is useful; results go to standard output, whole."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from sansheng.console import EVERY, Reporter, duration, losses, print_pairs, print_table
from sansheng.events import Event


class Screen:
    """A reporter whose clock stands until it is told to go on."""

    def __init__(self, *, live: bool = False) -> None:
        self.now, self.stream = 100.0, io.StringIO()
        console = Console(file=self.stream, force_terminal=live, width=120, soft_wrap=True)
        self.reporter = Reporter(console, live=live, clock=lambda: self.now)

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()


def step(number: int, **more: object) -> Event:
    return Event("step", "", number / 100, number, float(number), 100.0 - number, more.pop("values", {}), **more)  # pyright: ignore


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1.0, "0 s"), (0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (185.0, "3 min 05 s"), (7800.0, "2 h 10 min")],
)
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_only_losses_are_shown_if_any_value_is_called_so() -> None:
    assert losses({"critic/loss": 0.5, "generator/loss": 1.25, "norm": 3.0}) == "critic 0.5  generator 1.25"
    assert losses({"bound": 2.0}) == "bound 2"
    assert losses({"bound/loss": 2.0, "bound/kl": 3.0, "bound/active": 12.0}) == "bound 2  active 12"
    assert losses({str(i): 1.0 for i in range(9)}).count("1") == 5  # four values, one of them named 1


def test_without_a_terminal_there_is_a_line_now_and_then_and_the_last_step_is_never_lost() -> None:
    screen = Screen()
    with screen.reporter as observe:
        for number in range(1, 8):
            observe(step(number))
        assert [line.split()[1] for line in screen.lines] == ["1"]
        screen.now += EVERY
        observe(step(8))
        observe(step(9))
        assert [line.split()[1] for line in screen.lines] == ["1", "8"]
    assert [line.split()[1] for line in screen.lines] == ["1", "8", "9"]
    assert screen.lines[-1].split() == ["step", "9", "9", "%", "1", "min", "31", "s", "left", "ok"]


def test_a_new_phase_closes_the_one_before_and_begins_with_a_line_of_its_own() -> None:
    screen = Screen()
    screen.reporter(step(1))
    screen.reporter(step(2))
    screen.reporter(Event("phase", "scoring"))
    screen.reporter(step(1))
    assert [line.split()[0] for line in screen.lines] == ["step", "step", "scoring", "step"]


def test_a_symptom_is_said_once_and_stays_beside_the_steps() -> None:
    screen = Screen()
    for _ in range(3):
        screen.reporter(Event("health", "mode collapse: 3 of 8 modes are missing"))
    screen.reporter(step(1))
    assert screen.lines[0] == "health: mode collapse: 3 of 8 modes are missing"
    assert len(screen.lines) == 2
    assert screen.lines[1].endswith("mode collapse")


def test_the_first_picture_is_pointed_out_and_the_latest_is_remembered() -> None:
    screen = Screen()
    for name in ("a.png", "b.png"):
        screen.reporter(Event("preview", name))
    assert screen.lines == ["first picture: a.png"]
    assert screen.reporter.preview == "b.png"


def test_text_is_never_taken_for_markup() -> None:
    screen = Screen()
    screen.reporter(Event("note", "column [bold] of [/x] is constant"))
    assert screen.lines == ["column [bold] of [/x] is constant"]
    live = Screen(live=True)
    with live.reporter as observe:
        observe(Event("phase", "[/x]"))
        observe(step(1, values={"[red]a": 1.0}))
    assert "[red]a 1" in live.stream.getvalue()


def test_in_a_narrow_terminal_a_long_phase_leaves_room_for_the_bar() -> None:
    screen = Screen(live=True)
    screen.reporter.console.width = 60
    with screen.reporter as observe:
        observe(Event("phase", f"training a flow of 400,000 parameters for 60s in {'a long folder ' * 9}"))
        observe(step(50))
    assert "━━━━━━━━━━━━" in screen.stream.getvalue()
    assert "50%" in screen.stream.getvalue()
    assert "50 s left" in screen.stream.getvalue()


def test_a_live_bar_is_cleared_away_even_by_an_error() -> None:
    screen = Screen(live=True)

    def train() -> None:
        with screen.reporter as observe:
            observe(step(50))
            assert screen.reporter._bar is not None
            raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        train()
    assert screen.reporter._bar is None
    shown = screen.stream.getvalue()
    assert "50%" in shown
    assert "\x1b[?25l" in shown  # the cursor was hidden
    assert shown.rindex("\x1b[?25h") > shown.rindex("50%")  # and comes back at the end


def test_remarks_go_to_standard_error_and_results_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    Reporter()(Event("note", "a remark"))
    print_pairs([("rows", "12"), ("a longer name", "[x]")])
    print_table(["model", "score [s]"], [["vae", "1.5"], ["a [b]", "10"]])
    out, err = capsys.readouterr()
    assert err == "a remark\n"
    assert [line.split() for line in out.splitlines()] == [
        ["rows", "12"],
        ["a", "longer", "name", "[x]"],
        ["model", "score", "[s]"],
        ["vae", "1.5"],
        ["a", "[b]", "10"],
    ]
    rows = out.splitlines()
    assert rows[0].index("12") == rows[1].index("[x]")
    assert rows[3].rindex("5") == rows[4].rindex("0")  # numbers end under one another


def test_where_there_is_no_terminal_a_wide_table_keeps_one_line_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([f"column {i}" for i in range(10)], [["1.23 (1.11 to 1.34)"] * 9 + ["x"]])
    assert len(capsys.readouterr().out.splitlines()) == 2
