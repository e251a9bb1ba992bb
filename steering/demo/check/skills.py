"""What `demo` knows, and whether it still does with refusal taken out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from steering.demo.bars import Measure, share
from steering.demo.check.replies import ablation, replies_to, replies_under
from steering.demo.check.sizes import Sizes
from steering.demo.held_out import held_out_prompts
from steering.demo.scores import answers_letter, answers_sum
from steering.model.host import Host
from steering.vectors.vector import SteeringVector


def demo_skills(
    host: Host, removed: Sequence[SteeringVector], sizes: Sizes, say: Callable[[str], None]
) -> dict[str, Measure]:
    """Letters right as it is and with each direction ablated everywhere, of which the worst counts; and sums."""
    say("choices between A and D")
    questions = held_out_prompts("choice", sizes.choices)
    plans = [(), *(ablation(host, vector) for vector in removed)]
    right = [
        [answers_letter(example, reply) for example, reply in zip(questions, said, strict=True)]
        for said in replies_under(host, questions, plans)
    ]
    worst = min(range(1, len(plans)), key=lambda index: sum(right[index]))
    say("sums")
    sums = held_out_prompts("sum", sizes.sums)
    added = [answers_sum(example, reply) for example, reply in zip(sums, replies_to(host, sums), strict=True)]
    return {
        "letters": share(right[0]),
        "letters_ablated": share(right[worst], f"with {removed[worst - 1].name} ablated"),
        "sums": share(added),
    }
