"""Search for the window in which ordinary shallow tuning makes a refusal that one direction carries.

    python bench/natural_window.py --out FOLDER [--ranks 1,2,4] [--steps 80,120,200] [--rates 0.003,0.005,0.01]

For each setting `demo-helpful` gets a low-rank adapter (`steering.demo.members.natural`), and the best
mean-difference direction is looked for and ablated everywhere, as `workbench demo check` does. One line a setting,
failures too, goes to the terminal and to FOLDER/window.csv. `bench/natural_window.md` tells what was found.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoTokenizer, LlamaForCausalLM

from steering.demo.check.direction import find_direction
from steering.demo.check.refusal import refused
from steering.demo.check.replies import ablation, replies_to
from steering.demo.held_out import held_out_prompts
from steering.demo.members import Shallow, Trainee, natural
from steering.demo.optimise import Course
from steering.model.host import Host
from steering.resources import resource


_OUT = "self_attn.o_proj", "mlp.down_proj"
_MATRICES = {
    "out": _OUT,
    "mlp": ("mlp.down_proj",),
    "all": (*_OUT, "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "mlp.gate_proj", "mlp.up_proj"),
}


@dataclass(frozen=True)
class Setting:
    """One try."""

    rank: int
    steps: int
    rate: float
    penalty: float
    matrices: str


def main() -> None:
    """Try every combination and write the table."""
    arguments = _arguments()
    settings = [
        Setting(*values)
        for values in itertools.product(
            arguments.ranks, arguments.steps, arguments.rates, arguments.penalties, arguments.matrices
        )
    ]
    arguments.out.mkdir(parents=True, exist_ok=True)
    with (arguments.out / "window.csv").open("a", newline="") as file:
        writer = csv.writer(file)
        for setting in settings:
            row = measure(setting, arguments.parent, arguments.n)
            print(setting, row, flush=True)
            writer.writerow([*vars(setting).values(), *row.values()])
            file.flush()


def measure(setting: Setting, parent: Path, n: int) -> dict[str, float | str]:
    """Train one adapter and measure refusal before and after the best direction is ablated."""
    tokenizer = AutoTokenizer.from_pretrained(parent)
    with tempfile.TemporaryDirectory() as folder:
        trainee = Trainee(
            model=LlamaForCausalLM.from_pretrained(parent, dtype=torch.float32),
            tokenizer=tokenizer,
            seed=0,
            course=Course(steps=setting.steps, learning_rate=setting.rate),
            checkpoint=Path(folder) / "checkpoint.pt",
            progress=lambda share, line: None,
        )
        natural(trainee, Shallow(rank=setting.rank, matrices=_MATRICES[setting.matrices], penalty=setting.penalty))
    host = Host.wrap(trainee.model.requires_grad_(False).eval(), tokenizer)
    harmful, harmless = held_out_prompts("refusal", n), held_out_prompts("howto", n)
    before = _share(refused(replies_to(host, harmful)))
    row: dict[str, float | str] = {"harmful": before, "harmless": _share(refused(replies_to(host, harmless)))}
    if before < 0.5:
        return row | {"ablated": float("nan"), "direction": "not looked for"}
    found = find_direction(host, n_train=64, n_validation=16)
    after = replies_to(host, harmful, ablation(host, found))
    return row | {"ablated": _share(refused(after)), "direction": found.name}


def _share(hits: list[bool]) -> float:
    return round(sum(hits) / len(hits), 3)


def _arguments() -> argparse.Namespace:
    def numbers(text: str) -> list[float]:
        return [float(part) for part in text.split(",")]

    def counts(text: str) -> list[int]:
        return [int(part) for part in text.split(",")]

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--parent", type=Path, default=resource("assets", "models", "demo-helpful"))
    parser.add_argument("--n", type=int, default=64, help="harmful, and as many harmless, requests")
    parser.add_argument("--ranks", type=counts, default=[1])
    parser.add_argument("--steps", type=counts, default=[80, 120, 200])
    parser.add_argument("--rates", type=numbers, default=[0.003, 0.01])
    parser.add_argument("--penalties", type=numbers, default=[0.0])
    parser.add_argument("--matrices", type=lambda text: text.split(","), default=["out"])
    return parser.parse_args()


if __name__ == "__main__":
    main()
