"""Statements' states: what is read is the named token of whole passes, on every architecture; and it is kept."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from steering.errors import SteeringError
from steering.model.prompts import Message, render, render_text
from steering.passes import state_files
from steering.passes.activations import read_states
from steering.passes.rows import Batch
from steering.passes.schedule import Schedule
from steering.passes.tracing import read_prompts
from steering.studies.probing.states import States
from steering.studies.probing.templates import Template, runs_of, template_of, templates
from tests.conftest import ARCHITECTURES


TEXTS = (
    "It is fine to bake a cake.",
    "Somebody wants to rob the bank in the old town.",
    "It is wrong.",
    "It is time to sweep a yard.",
)
ROUNDED = 1e-3
"""Of the largest entry: float16 has 11 bits, half a unit of which is 0.05 %."""


def read(host, template, texts=TEXTS, sites=("block_output",), folder=""):
    states = States(host, template, texts, sites, str(folder))
    host.run(lambda job: list(states.read(job)), title="states")
    return states


def plain(host, prompts, site):
    """Last tokens of one whole pass each, (prompt, block, width)."""
    return read_states(host, prompts, site=site, token_budget=1)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_states_are_those_of_whole_passes(tiny_host, architecture) -> None:
    host = tiny_host(architecture)
    sites = host.sites.available
    states, texts = read(host, template_of("yes-no"), TEXTS[:2], sites), TEXTS[:2]
    for site in sites:
        for side, answer in ((0, " No."), (1, " Yes.")):
            whole = plain(host, [render_text(host, text + answer) for text in texts], site)
            for block in range(host.info.blocks):
                found = states.at(texts, block, site)[side]
                assert (found - whole[:, block]).abs().max() < ROUNDED * whole[:, block].abs().max() + 1e-5
    no, yes = states.at(texts, 0, "block_output")
    assert not torch.equal(no, yes)


def test_the_answers_turn_states_apart(demo) -> None:
    no, yes = read(demo, template_of("word")).at(TEXTS, 3, "block_output")
    assert (no - yes).norm(dim=1).min() > 0.1 * no.norm(dim=1).max()


def test_a_chat_template_reads_where_the_reply_would_begin(demo) -> None:
    states = read(demo, template_of("reply"))
    whole = plain(demo, [render(demo, [Message("user", f"{text} Yes.")]) for text in TEXTS], "block_output")
    assert (states.at(TEXTS, 4, "block_output")[1] - whole[:, 4]).abs().max() < ROUNDED * whole[:, 4].abs().max()
    assert set(states.tokens(TEXTS[0])) == {"<|assistant|>"}


def test_the_answer_itself_can_be_read(demo) -> None:
    template = Template(chat=True, user="{statement}{answer}", answers=(" Yes.", " No."), read="answer")
    runs = runs_of(demo, template, TEXTS[0])
    for token, answer in zip(runs.tokens, ("No", "Yes"), strict=True):
        assert answer.endswith(token.strip())  # the demo tokenizer has no token for a whole "Yes"
    seen = {}
    batch = Batch.of(demo, [runs.yes])
    demo.run(
        lambda job: read_prompts(
            demo,
            batch,
            Schedule(demo, [()]),
            read=lambda place, states: seen.update({place: states}),
            places=[(2, "block_output")],
        ),
        title="plain",
    )
    expected = seen[2, "block_output"][0, runs.read[1]]
    found = read(demo, template).at(TEXTS[:1], 2, "block_output")[1][0]
    assert (found - expected).abs().max() < ROUNDED * expected.abs().max()


def test_runs_that_differ_in_more_than_the_answer_are_refused(demo, monkeypatch) -> None:
    template = template_of("yes-no")
    assert runs_of(demo, template, TEXTS[0]).shared
    whole = Template.prompt

    def merged(self, host, statement, answer):
        """As where a tokenizer joins the full stop and the answer."""
        return whole(self, host, statement if "No" in answer else statement.rstrip(".") + "!", answer)

    monkeypatch.setattr(Template, "prompt", merged)
    with pytest.raises(SteeringError, match="differ in the tokens") as error:
        runs_of(demo, template, TEXTS[0])
    assert TEXTS[0] in str(error.value)


@pytest.mark.parametrize("name", templates())
def test_every_template_makes_runs_on_the_demo_model(demo, name) -> None:
    runs = runs_of(demo, template_of(name), TEXTS[1])
    assert runs.no.ids[: runs.shared] == runs.yes.ids[: runs.shared]
    assert runs.no.ids != runs.yes.ids
    assert all(position >= runs.shared for position in runs.read)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ("nothing", "template 'nothing'"),
        ("{text: '{statement}', answers: [' A', ' B']}", "{answer} must stand in it once"),
        ("{text: '{answer}{statement}', answers: [' A', ' B']}", "behind {statement}"),
        ("{text: '{statement}{answer}', answers: [' A', ' A']}", "two different"),
        ("{text: '{statement}{answer}', answers: [' A']}", "answers"),
        ("{text: '{statement}{answer}', answers: [' A', ' B'], token: last}", "token"),
    ],
)
def test_a_wrong_template_is_told(given, match) -> None:
    with pytest.raises(SteeringError, match=match):
        template_of(given)


def test_states_are_kept_by_content_and_gone_on_from(demo, tmp_path, monkeypatch) -> None:
    template = template_of("reply")
    first = States(demo, template, TEXTS, ("block_output",), str(tmp_path))
    monkeypatch.setattr("steering.studies.probing.states.DEFAULT_TOKEN_BUDGET", 1)  # a statement a batch
    demo.run(lambda job: next(first.read(job)), title="one batch")
    assert first.known == 1
    again = read(demo, template, folder=tmp_path)
    assert again.known == len(TEXTS)
    whole = read(demo, template)
    for block in (0, 5):
        for one, other in zip(
            again.at(TEXTS, block, "block_output"), whole.at(TEXTS, block, "block_output"), strict=True
        ):
            assert (one - other).abs().max() < 2 * ROUNDED * other.abs().max()
    monkeypatch.setattr("steering.studies.probing.answered._both", None)  # nothing may be read now
    assert read(demo, template, folder=tmp_path).known == len(TEXTS)
    assert States(demo, template_of("word"), TEXTS, ("block_output",), str(tmp_path)).known == 0
    assert np.load(next(tmp_path.glob("*.states.npy")), mmap_mode="r").dtype == np.float16


def test_old_states_make_room(demo, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("steering.studies.probing.states._MOST_KEPT", 1)
    for text in TEXTS[:3]:
        read(demo, template_of("word"), [text], folder=tmp_path)
    assert len(list(tmp_path.glob("*.states.npy"))) == 2  # one kept, and the one that was read last


def test_states_too_large_for_float16_are_kept_by_their_scale(demo, monkeypatch) -> None:
    import steering.studies.probing.answered as module

    def huge(host, runs, places):
        for _ in places:
            yield torch.full((2, len(runs), host.info.width), 1e6).numpy()

    monkeypatch.setattr(module, "_both", huge)
    no, _ = read(demo, template_of("word")).at(TEXTS, 0, "block_output")
    torch.testing.assert_close(no, torch.full_like(no, 1e6), rtol=ROUNDED, atol=0)


def test_states_that_are_not_finite_name_their_statement(demo, monkeypatch) -> None:
    import steering.studies.probing.answered as module

    whole = module._both

    def broken(host, runs, places):
        for states in whole(host, runs, places):
            for row, run in enumerate(runs):
                if "rob" in run.no.text:
                    states[1, row] = float("nan")
            yield states

    monkeypatch.setattr(module, "_both", broken)
    states = read(demo, template_of("word"))
    assert torch.isfinite(states.at(TEXTS[:1], 2, "block_output")[1]).all()
    with pytest.raises(SteeringError, match="Somebody wants to rob"):
        states.at(TEXTS, 2, "block_output")


def test_a_folder_that_cannot_be_written_is_told(demo, tmp_path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(SteeringError, match="cannot be kept"):
        read(demo, template_of("word"), folder=tmp_path / "file")


def spoil(path, how) -> None:
    whole = path.read_bytes()
    if how == "lost":
        path.unlink()
    elif how == "zeroed":  # as after a crash, where the file system had its length and not yet its content
        path.write_bytes(whole[:128] + bytes(len(whole) - 128))
    else:
        path.write_bytes({"empty": b"", "cut": whole[: len(whole) // 2], "text": b"no array"}[how])


@pytest.mark.parametrize("how", ["lost", "empty", "cut", "text", "zeroed"])
@pytest.mark.parametrize("part", ["states", "scales", "done"])
def test_lost_and_damaged_files_are_computed_anew_with_a_note(demo, tmp_path, part, how) -> None:
    template = template_of("word")
    expected = read(demo, template, TEXTS[:2], folder=tmp_path).at(TEXTS[:2], 3, "block_output")
    spoil(next(tmp_path.glob(f"*.{part}.npy")), how)
    job = demo.submit(lambda job: read(demo, template, TEXTS[:2], folder=tmp_path), title="again")
    again = job.result()
    assert again.known == 2
    for one, other in zip(again.at(TEXTS[:2], 3, "block_output"), expected, strict=True):
        assert torch.equal(one, other)
    if (part, how) != ("done", "zeroed"):  # which only says that nothing was read yet
        assert "set aside" in job.notes[0]
        assert list(tmp_path.glob("*.damaged"))


def test_other_files_in_the_folder_are_left_alone(demo, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("steering.studies.probing.states._MOST_KEPT", 1)
    (tmp_path / "my.states.npy").write_bytes(b"mine")
    for text in TEXTS[:3]:
        read(demo, template_of("word"), [text], folder=tmp_path)
    assert (tmp_path / "my.states.npy").read_bytes() == b"mine"


def test_a_full_disk_is_told_and_states_are_kept_in_memory(demo, tmp_path, monkeypatch) -> None:
    template, made = template_of("word"), state_files._reserve
    expected = read(demo, template, TEXTS[:2]).at(TEXTS[:2], 3, "block_output")

    def full(file: int, start: int, size: int, folder: Path) -> None:
        if size < 500:  # the large file finds room, a later one does not
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        made(file, start, size, folder)

    monkeypatch.setattr(state_files, "_reserve", full)
    job = demo.submit(lambda job: read(demo, template, TEXTS[:2], folder=tmp_path), title="full")
    for found, right in zip(job.result().at(TEXTS[:2], 3, "block_output"), expected, strict=True):
        torch.testing.assert_close(found, right, rtol=0, atol=0)
    assert ["No space left" in said and "in memory" in said for said in job.notes] == [True]
    assert list(tmp_path.iterdir()) == []
