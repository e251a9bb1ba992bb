"""The demo models' tokenizer: byte-level BPE trained on the grammar, with a chat template."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from steering.demo.facts import facts
from steering.demo.grammar import examples
from steering.model.prompts import Message


PAD, BOS, END = "<|pad|>", "<|bos|>", "<|end|>"
ROLE_TOKENS = {"system": "<|system|>", "user": "<|user|>", "assistant": "<|assistant|>"}
SPECIAL = (PAD, BOS, END, *ROLE_TOKENS.values())

CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{% if message['role'] not in ['system', 'user', 'assistant'] %}"
    "{{ raise_exception('The demo model knows the roles system, user and assistant only.') }}"
    "{% endif %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def train_tokenizer(*, vocabulary: int = 3072, texts: Iterable[str] | None = None) -> PreTrainedTokenizerFast:
    """Train the tokenizer afresh; the same texts give the same tokenizer.

    Every byte is a token, so that any text comes back as it went in. Digits stand alone, which makes sums learnable.

    Args:
        vocabulary: Number of tokens, special ones included.
        texts: What to train on; without it, ten conversations of the training split a token, 20,000 at most.
    """
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    core.train_from_iterator(_known_texts(vocabulary) if texts is None else texts, trainer)
    core.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A $B", special_tokens=[(BOS, core.token_to_id(BOS))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token=BOS,
        eos_token=END,
        pad_token=PAD,
        extra_special_tokens=list(ROLE_TOKENS.values()),
        chat_template=CHAT_TEMPLATE,
        model_max_length=512,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def encode(tokenizer: PreTrainedTokenizerFast, messages: Sequence[Message]) -> tuple[list[int], list[bool]]:
    """Token ids of a whole conversation, and for each whether the model is to write it (replies and their end)."""
    special = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL}
    ids, written = [special[BOS]], [False]
    for message in messages:
        body = [*tokenizer.encode(message.content, add_special_tokens=False), special[END]]
        ids += [special[ROLE_TOKENS[message.role]], *body]
        written += [False, *([message.role == "assistant"] * len(body))]
    return ids, written


def _known_texts(vocabulary: int) -> list[str]:
    # Made-up words are left out: their syllables would take places in the vocabulary from real ones.
    known = [
        example for example in examples(n=min(20_000, 10 * vocabulary), seed=1) if example.labels["kind"] != "unknown"
    ]
    # The values of facts are to be one token each, so that a model can hold one against another.
    values = [f" {fact.value}" for fact in facts()] * max(1, vocabulary // 50)
    return [message.content for example in known for message in example.messages] + values
