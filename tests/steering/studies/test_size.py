"""What a run will do is told before it starts: counted from the settings, timed by what the model took before."""

from __future__ import annotations

import pytest

from steering import ContrastSet
from steering.errors import SteeringError
from steering.model import pace
from steering.model.chat_settings import ChatSettings
from steering.studies import STUDIES
from steering.studies.size import Done, Size, Work, done_before, note_done, run_key
from workbench.controls.estimate import told
from workbench.controls.estimate_words import estimate


def progress(job) -> tuple[int, str]:
    job.result()
    return job.progress.total, job.progress.message


@pytest.fixture
def timed(tiny_host):
    """A model of which it is known that a reading takes 1 ms a token and a step 20 ms, whatever the batch."""
    host = tiny_host("gpt2")
    pace._READ[host], pace._SEEN[host] = 1e-3, {1: 0.02, 16: 0.02}
    yield host
    del pace._READ[host], pace._SEEN[host]
    pace._LENGTHS.pop(host, None)


@pytest.mark.parametrize("study", ["extract", "methods"])
def test_an_extraction_reads_as_many_prompts_as_was_told(demo, study) -> None:
    chosen = STUDIES[study]
    settings = chosen.parse({"contrast": "sentiment"})
    counted = chosen.size(demo, settings)
    counts = ContrastSet.load("sentiment").counts
    own = sum(counts["train"]) + sum(counts["validation"])
    other = sum(ContrastSet.load("time-of-day").counts["train"]) if study == "methods" else 0
    assert (counted.count("readings"), counted.count("replies")) == (own + other, 0)
    if study == "extract":
        assert progress(chosen.start(demo, settings)) == (own, "prompts read")


def test_a_probing_counts_statements_trainings_and_the_cause(demo) -> None:
    study = STUDIES["probe"]
    asked = {"n": 40, "steps": 30, "restarts": 2, "blocks": "2-3", "sites": ["block_output", "mlp_output"]}
    bare = study.size(demo, study.parse({**asked, "controls": [], "cause": []}))
    # 40 pairs, each half behind two answers; at 2 blocks x 2 sites CCS and its shuffled null.
    assert (bare.count("readings"), bare.count("steps")) == (160, 2 * 30 * 4)
    marked = study.size(demo, study.parse({**asked, "cause": []}))
    assert (marked.count("readings"), marked.count("steps")) == (320, 3 * 30 * 4)
    caused = study.size(demo, study.parse({**asked, "cause_n": 4, "cause_strengths": "-0.5, 0.5"}))
    assert caused.count("readings") > marked.count("readings")
    assert caused.count("steps") == marked.count("steps")
    assert marked.works[-1].seconds(demo) > bare.works[-1].seconds(demo) > 0
    with pytest.raises(SteeringError, match="0 to 5"):
        study.size(demo, study.parse({"blocks": "9"}))


def test_own_replies_are_counted_where_they_are_read(demo) -> None:
    study = STUDIES["extract"]
    counted = study.size(demo, study.parse({"pooling": "mean_reply", "reply_tokens": 5}))
    assert counted.count("replies") == counted.count("readings") > 0
    assert estimate(counted, None) == f"Up to {counted.count('replies')} replies of at most 5 tokens and " + (
        f"{counted.count('readings')} readings."
    )


def test_seconds_are_those_of_what_is_not_kept(timed) -> None:
    replies = Work("replies", 40, tokens=50, batch=16)
    assert replies.seconds(timed) == pytest.approx(3 * 50 * 0.02)  # three batches of 50 steps
    assert Work("replies", 40, tokens=50, batch=16, known=24).seconds(timed) == pytest.approx(50 * 0.02)
    assert Work("readings", 300, tokens=20, known=100).seconds(timed) == pytest.approx(200 * 20 * 1e-3)
    pace.note_length(timed, 50, 50)
    assert replies.seconds(timed) == pytest.approx(3 * 50 * 0.02), "a batch that went on to its end tells nothing"
    pace.note_length(timed, 20, 50)
    assert replies.seconds(timed) == pytest.approx(3 * 20 * 0.02), "all of a batch had ended after 20 of 50"
    pace.note_length(timed, 50, 50)
    assert replies.seconds(timed) == pytest.approx(3 * 50 * 0.02)
    size = Size((replies, Work("readings", 300, tokens=20)))
    assert size.seconds(timed) == pytest.approx(9.0)
    assert estimate(size, timed) == "Up to 40 replies of at most 50 tokens and 300 readings, about 9 s."
    kept = Size((Work("replies", 40, tokens=50, known=40),), keeps=True)
    assert kept.seconds(timed) == 0


def test_a_pace_is_the_models_whatever_its_chat_settings(timed) -> None:
    view = timed.under(ChatSettings(prefill="Well,"))
    assert view is not timed
    assert Work("readings", 1, tokens=1000).seconds(view) == pytest.approx(1.0)


def test_where_nothing_was_timed_no_time_is_told(tiny_host) -> None:
    host = tiny_host("opt")
    assert host not in pace._READ
    said = estimate(Size((Work("readings", 1, 20),), keeps=True), host)
    assert said == (
        "Up to 1 reading. How long that takes on this model is not known yet. What is kept already costs nothing."
    )


def test_a_run_that_has_been_to_its_end_is_kept_already(timed) -> None:
    kept: dict[str, dict] = {}
    key, other = run_key(timed, "grid", {"n": 3}), run_key(timed, "grid", {"n": 4})
    assert key != other != run_key(timed.under(ChatSettings(prefill="Well,")), "grid", {"n": 4})
    assert done_before(kept, key) is None
    note_done(kept, key, seconds=480.0, anew=900)
    assert done_before(kept, key) == Done(None)  # how long it takes when nothing is made anew is not known
    note_done(kept, key, seconds=4.2, anew=0)
    assert done_before(kept, key) == Done(4.2)
    note_done(kept, key, seconds=300.0, anew=500)  # made anew in part: the other figure stands
    size = Size((Work("replies", 900, 64),), keeps=True, done=done_before(kept, key))
    assert estimate(size, timed) == "Kept already: shown in about 4 s."
    assert done_before(kept, other) is None


def test_what_is_wrong_with_the_settings_is_told_before_the_run(demo) -> None:
    def count(host, contrast):
        study = STUDIES["extract"]
        return study.size(host, study.parse({"contrast": contrast}))

    with pytest.raises(SteeringError) as error:
        count(demo, "no-such-set")
    assert told(demo, count, {"contrast": "no-such-set"}) == str(error.value)
    assert told(None, count, {"contrast": "formality"}) == ""
    assert "116 readings" in told(demo, count, {"contrast": "formality"})
