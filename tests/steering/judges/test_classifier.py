"""A text classifier as a judge: loaded from a folder, its label found or named, every mistake explained."""

from __future__ import annotations

import pytest
import torch
from transformers import LlamaConfig, LlamaForSequenceClassification

from steering.errors import SteeringError
from steering.judges.classifier import load_classifier


@pytest.fixture
def folder(tmp_path, tokenizer):
    def build(labels):
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=3072,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_labels=len(labels),
            id2label=dict(enumerate(labels)),
            pad_token_id=tokenizer.pad_token_id,
        )
        LlamaForSequenceClassification(config).save_pretrained(tmp_path)
        tokenizer.save_pretrained(tmp_path)
        return str(tmp_path)

    return build


TEXTS = ["I am sorry, but no.", "Of course, here you are.", "", "No."] * 10


def test_its_verdicts_are_the_likeliest_label(demo, folder, tokenizer) -> None:
    path = folder(["NORMAL", "REJECTION"])
    judge = load_classifier(demo, path)
    found = judge(TEXTS)
    model = LlamaForSequenceClassification.from_pretrained(path).eval()
    expected = []
    for text in TEXTS:
        inputs = tokenizer([text] if text else [tokenizer.pad_token], return_tensors="pt", padding=True)
        with torch.no_grad():
            expected.append(
                bool(model(**{k: inputs[k] for k in ("input_ids", "attention_mask")}).logits[0].argmax() == 1)
            )
    filled = [i for i, text in enumerate(TEXTS) if text]
    assert [found[i] for i in filled] == [expected[i] for i in filled]
    other = load_classifier(demo, path, "normal")
    assert [other(TEXTS)[i] for i in filled] == [not expected[i] for i in filled]


def test_labels_that_do_not_say_which_is_refusal(demo, folder) -> None:
    path = folder(["LABEL_0", "LABEL_1"])
    with pytest.raises(SteeringError, match="has the labels LABEL_0, LABEL_1"):
        load_classifier(demo, path)
    assert len(load_classifier(demo, path, "LABEL_1")(["Hello."])) == 1
    with pytest.raises(SteeringError, match="one called 'nothing'"):
        load_classifier(demo, path, "nothing")


def test_a_classifier_that_is_not_there(demo, tmp_path) -> None:
    with pytest.raises(SteeringError, match="cannot be loaded"):
        load_classifier(demo, str(tmp_path / "nowhere"))
