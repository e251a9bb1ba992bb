"""demo and demo-helpful by one dictionary: refusal was planted between them, and that is what changed."""

from __future__ import annotations

import pytest
import torch

from steering.confines import Confines, confined
from steering.demo.planted import planted_vector
from steering.errors import SteeringError
from steering.model.host import Host
from steering.studies import find_study
from steering.studies.features.chosen import dictionary_of
from steering.studies.features.sources import sources_of


SMALL = {"texts_n": 12, "permutations": 200, "resamples": 200, "n": 12}


def run(host, **settings):
    study = find_study("feature_shift")
    return study.start(host, study.parse({**SMALL, **settings})).result()


@pytest.fixture(scope="module")
def result(demo):
    return run(demo)


@pytest.fixture(scope="module")
def dictionary(demo):
    return dictionary_of(demo, "")[0]


@pytest.fixture(scope="module")
def states(demo, lane, dictionary):
    """By role, the states of every text without its first token, from Hugging Face's own pass."""
    other = Host.load("demo-helpful", lane=lane)
    found = {}
    for role, host in (("base", other), ("tuned", demo)):
        texts = sources_of(host, contrast="harm", texts="", most=SMALL["texts_n"]).rendered(host, "chat")
        with torch.no_grad():
            found[role] = [
                host.model._module(torch.tensor([text.ids]), output_hidden_states=True).hidden_states[
                    dictionary.gives[0] + 1
                ][0, 1:]
                for text in texts
            ]
    return found


def test_every_number_is_that_of_sae_lens_on_plain_states(result, states, dictionary) -> None:
    active = {role: dictionary.sae.encode(torch.cat(each)).detach() for role, each in states.items()}
    table = result.tables["features"]
    assert len(table) == SMALL["n"]
    for row in table.to_dict("records"):
        for role, each in active.items():
            own = each[:, row["feature"]]
            assert row[f"rate_{role}"] == pytest.approx(float((own > 0).float().mean()), abs=2e-3)
            # A TopK feature at the edge of the 32 may fall out of them by rounding.
            assert row[f"activation_{role}"] == pytest.approx(float(own.mean()), abs=5e-3)
        assert row["rate_change"] == pytest.approx(row["rate_tuned"] - row["rate_base"])
        assert row["activation_change_low"] <= row["activation_change"] <= row["activation_change_high"]
    models = result.tables["models"].set_index("role")
    for role, each in states.items():
        whole = torch.cat(each).double()
        left = (whole - dictionary.sae(torch.cat(each)).detach()).square().sum()
        wanted = 1 - float(left / (whole - whole.mean(dim=0)).square().sum())
        assert models["explained_variance"][role] == pytest.approx(wanted, abs=1e-4)


def test_what_changed_points_along_the_planted_direction(result, dictionary) -> None:
    """The two models differ by u, so the changes of features, put together, must."""
    changed = result.tables["features"].query("changed")
    assert len(changed) >= 5
    moved = torch.tensor(changed["activation_change"].to_numpy(), dtype=torch.float32) @ dictionary.decoder(
        changed["feature"].tolist()
    )
    cosine = float(torch.nn.functional.cosine_similarity(moved, planted_vector("demo").directions[2], dim=0))
    random = torch.nn.functional.normalize(
        torch.randn(1000, len(moved), generator=torch.Generator().manual_seed(1)), dim=-1
    )
    assert abs(cosine) > float((random @ moved / moved.norm()).abs().max())


def test_nothing_has_changed_between_a_model_and_itself(demo) -> None:
    result = run(demo, reference="demo", texts_n=4, permutations=100)
    assert result.tables["features"].empty
    assert result.measures[0].value == 0
    assert result.tables["models"]["explained_variance"].nunique() == 1


@pytest.mark.parametrize("reference", ["no-such-model", "demo-base"])
def test_a_model_that_cannot_be_set_beside_it_is_refused(demo, reference) -> None:
    with pytest.raises(SteeringError, match=r"no-such-model|have other tokens"):
        run(demo, reference=reference)


def test_a_model_must_be_named_and_allowed(demo, tiny_host, tmp_path) -> None:
    with pytest.raises(SteeringError, match=r"not said from which model|reads states of width"):
        run(tiny_host("llama"), dictionary="demo/block-3-sae")
    with confined(Confines(tmp_path, hub=False, models=frozenset())), pytest.raises(SteeringError, match="cannot load"):
        run(demo)
