"""Chat templates in the manner of model families, each reduced to what is odd about it."""

from __future__ import annotations


_TURNS = "{% for m in messages %}"
_PLAIN = _TURNS + "<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>"

SWITCHED = (  # a switch closes the thought beforehand; old thoughts are cut off; the last one is shown
    _TURNS + "<|{{ m.role }}|>{% if m.role == 'assistant' %}{% set said = m.content.split('</think>')[-1] %}"
    "{% if loop.last %}<think>\n{{ m.reasoning_content or '' }}\n</think>\n\n{% endif %}{{ said }}"
    "{% else %}{{ m.content }}{% endif %}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
OPENED = (  # the generation prompt opens a thought, and nothing turns it off
    _TURNS + "{% if m.role == 'assistant' %}<|assistant|>{{ m.content.split('</think>')[-1] }}<|end|>{% else %}"
    "<|{{ m.role }}|>{{ m.content }}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}"
)
CHANNELS = (  # thought and answer in channels; a date; an effort
    "<|start|>system<|message|>Today: {{ strftime_now('%Y-%m-%d') }}, effort {{ reasoning_effort | default('medium') }}"
    "<|end|>" + _TURNS + "{% if m.role == 'assistant' %}{% if 'thinking' in m and loop.last %}"
    "<|start|>assistant<|channel|>analysis<|message|>{{ m.thinking }}<|end|>{% endif %}"
    "<|start|>assistant<|channel|>final<|message|>{{ m.content }}<|end|>{% else %}"
    "<|start|>{{ m.role }}<|message|>{{ m.content }}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant{% endif %}"
)
ONE_SIDED = (  # opening and closing share no form
    "{% macro bare(text) %}{% for part in text.split('<channel|>') %}{{ part.split('<|channel>')[0] }}{% endfor %}"
    "{% endmacro %}" + _TURNS + "<|turn>{{ 'model' if m.role == 'assistant' else m.role }}\n"
    "{% if m.reasoning_content %}<|channel>thought\n{{ m.reasoning_content }}\n<channel|>{% endif %}"
    "{{ bare(m.content) if m.role == 'assistant' else m.content }}<turn|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|turn>model\n{% if not enable_thinking | default(false) %}"
    "<|channel>thought\n<channel|>{% endif %}{% endif %}"
)
BUILT = (  # tags put together by a macro, so that none stands in the text
    "{% macro tag(side, name) %}{{ '<|' + side + '|>' + name + '<|sep|>' }}{% endmacro %}"
    "{% if thinking is undefined %}{% set thinking = true %}{% endif %}" + _TURNS + "{{ tag('open', m.role) }}"
    "{% if m.role == 'assistant' and thinking %}{{ tag('open', 'think') }}{{ m.reasoning_content or '' }}"
    "{{ tag('close', 'think') }}{% endif %}{{ m.content }}{{ tag('close', m.role) }}{% endfor %}"
    "{% if add_generation_prompt %}{{ tag('open', 'assistant') }}{% if thinking %}{{ tag('open', 'think') }}"
    "{% endif %}{% endif %}"
)
NAMED = (  # the system prompt alone names the delimiters
    "<|system|>Think first, between [THINK] and [/THINK].<|end|>" + _PLAIN + "{% endif %}"
)
SPLIT_NAMES = (  # start and end in words
    _PLAIN + "{% if not reasoning | default(true) %}<|START_THINKING|><|END_THINKING|>{% endif %}{% endif %}"
)
VARIABLES = (  # delimiters kept in variables
    "{% set begin = '<seed:think>' %}{% set end = '</seed:think>' %}" + _TURNS + "<|{{ m.role }}|>"
    "{% if m.reasoning_content %}{{ begin + m.reasoning_content + end }}{% endif %}{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
PARTS = (  # contents are lists of parts
    _TURNS + "<|{{ m.role }}|>{% for part in m['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}"
    "{% endif %}{% endfor %}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
NO_SYSTEM = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    + _PLAIN
    + "{% endif %}"
)
ALTERNATING = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Roles must alternate user/assistant') }}{% endif %}{% endfor %}" + _PLAIN + "{% endif %}"
)
PLAIN = _PLAIN + "{% endif %}"

THINKING = {
    "switched": (SWITCHED, "<think>", "</think>"),
    "opened": (OPENED, "<think>", "</think>"),
    "channels": (
        CHANNELS,
        "<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
    ),
    "one-sided": (ONE_SIDED, "<|channel>thought", "<channel|>"),
    "built": (BUILT, "<|open|>think<|sep|>", "<|close|>think<|sep|>"),
    "named": (NAMED, "[THINK]", "[/THINK]"),
    "split names": (SPLIT_NAMES, "<|START_THINKING|>", "<|END_THINKING|>"),
    "variables": (VARIABLES, "<seed:think>", "</seed:think>"),
}
"""Name → (template, opening, closing)."""
