"""Attribution of a logit to the features of a transcoder on demo, each number against plain hooks and autograd."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from steering.errors import SteeringError
from steering.model.prompts import conversation, render
from steering.studies import find_study
from steering.studies.features.attribution_study import prompt_of
from steering.studies.features.chosen import dictionary_of
from steering.studies.features.sources import sources_of


TRANSCODER = "demo/block-1-transcoder"
SMALL = {"dictionary": TRANSCODER, "n": 4, "others": 4, "texts_n": 4}


def run(host, **settings):
    study = find_study("feature_attribution")
    return study.start(host, study.parse({**SMALL, **settings})).result()


@pytest.fixture(scope="module")
def result(demo):
    return run(demo)


@pytest.fixture(scope="module")
def dictionary(demo):
    return dictionary_of(demo, TRANSCODER)[0]


@pytest.fixture(scope="module")
def prompt(demo):
    return prompt_of(demo, find_study("feature_attribution").parse(SMALL))


def logits_with(demo, ids, block: int, change) -> torch.Tensor:
    """Logits of a plain pass in which `change(input, output)` stands for what the MLP of a block gives."""
    mlp = demo.model._module.model.layers[block].mlp
    hook = mlp.register_forward_hook(lambda module, inputs, output: change(inputs[0], output))
    try:
        return demo.model._module(ids).logits[0]
    finally:
        hook.remove()


def test_features_are_followed_through_every_later_block_and_measured_one_by_one(
    demo, result, dictionary, prompt
) -> None:
    ids, block = torch.tensor([prompt.ids]), dictionary.gives[0]
    seen = {}

    def watch(read, gave):
        seen["read"], seen["gave"] = read.detach(), gave.detach().requires_grad_()
        return seen["gave"]

    logits = logits_with(demo, ids, block, watch)[-1]
    best = int(logits.argmax())
    value = logits[best] - logits.mean()
    (slopes,) = torch.autograd.grad(value, seen["gave"])
    with torch.no_grad():
        active = dictionary.sae.encode(seen["read"])[0]
        whole = (active[1:] * (slopes[0, 1:] @ dictionary.sae.W_dec.T)).sum(dim=0)  # first tokens are left out
    table = result.tables["features"]
    shown = table[~table["random"]]
    assert shown["feature"].tolist() == whole.abs().argsort(descending=True)[: len(shown)].tolist()
    for row in table.to_dict("records"):
        feature = row["feature"]
        assert row["whole"] == pytest.approx(float(whole[feature]), abs=1e-4)
        assert row["tokens"] == int((active[1:, feature] != 0).sum())

        def off(read, gave, feature=feature):
            own = dictionary.sae.encode(read)[..., feature : feature + 1]
            return gave - own * dictionary.sae.W_dec[feature]

        with torch.no_grad():
            without = logits_with(demo, ids, block, off)[-1]
        gone = float(value.detach()) - float(without[best] - without.mean())
        assert row["measured"] == pytest.approx(gone, abs=2e-4)
    assert shown["measured"].abs().max() > 0.02, "there is something to compare"
    assert result.measures[0].value == pytest.approx(float(value.detach()), abs=1e-3)


def test_the_transcoder_stands_in_for_the_mlp_row_by_row(demo, result, dictionary) -> None:
    """KL over all tokens, by plain passes in which sae-lens' output replaces the MLP's at every token but the first."""
    texts = sources_of(demo, contrast="harm", texts="", most=SMALL["texts_n"]).rendered(demo, "chat")
    block, moved, same = dictionary.gives[0], [], []

    def stand_in(read, gave):
        new = dictionary.sae(read)
        return torch.cat([gave[:, :1], new[:, 1:]], dim=1)

    for text in texts:
        ids = torch.tensor([text.ids])
        with torch.no_grad():
            plain = demo.model._module(ids).logits[0, 1:].double().log_softmax(dim=-1)
            other = logits_with(demo, ids, block, stand_in)[1:].double().log_softmax(dim=-1)
        moved += (plain.exp() * (plain - other)).sum(dim=-1).tolist()
        same += (plain.argmax(dim=-1) == other.argmax(dim=-1)).tolist()
    rows = result.tables["replaced"].set_index("treatment")
    own = rows.loc["dictionary"]
    assert own["tokens"] == len(moved)
    assert own["kl_mean"] == pytest.approx(np.mean(moved), rel=1e-3)
    assert own["kl_p95"] == pytest.approx(np.quantile(moved, 0.95), rel=1e-3)
    assert own["same_token"] == pytest.approx(np.mean(same), abs=1.5 / len(same))  # two tokens may be equally likely
    assert own["kl_mean"] < rows.loc["mean"]["kl_mean"] / 2, "it is better than no dictionary at all"


def test_other_rows_of_the_batch_are_left_alone(result) -> None:
    """Four treatments share each pass: were the unchanged row touched, nothing would lie apart from it."""
    rows = result.tables["replaced"].set_index("treatment")
    assert rows.loc["dictionary"]["kl_mean"] > 0
    assert rows.loc["mean"]["kl_mean"] != rows.loc["zeros"]["kl_mean"]


def test_a_named_prompt_and_named_tokens_are_taken(demo) -> None:
    given = {"prompt": "Please write a note to my boss.", "toward": "Dear", "against": "Hi", "replace": False}
    result = run(demo, **given)
    places = result.tables["places"]
    prompt = render(demo, conversation(given["prompt"]))
    assert set(places["token"]) <= set(prompt.tokens)
    assert "replaced" not in result.tables
    assert "“Dear” less that of “Hi”" in " ".join(result.notes)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"toward": "I", "against": "I"}, "on both sides"),
        ({"toward": "#999999"}, "refusal token 999999|token 999999"),
        ({"dictionary": "demo/none"}, "no dictionary 'demo/none'"),
        ({"contrast": ""}, "No texts were given"),
    ],
)
def test_what_cannot_be_right_is_refused(demo, given, message) -> None:
    with pytest.raises(SteeringError, match=message):
        run(demo, **given)
