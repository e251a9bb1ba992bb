"""Make docs/models.md from tiny models of every family, as the tests build them: `python docs/models.py`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer


ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from steering.errors import SteeringError  # noqa: E402 - the tests' models lie beside the package
from steering.lane import Lane  # noqa: E402
from steering.model.host import Host  # noqa: E402
from steering.model.sites import numbered  # noqa: E402
from steering.recipes.orthogonal import orthogonalised  # noqa: E402
from steering.resources import resource  # noqa: E402
from steering.selfcheck import self_check  # noqa: E402
from tests.families import FAMILIES, WRAPPERS, tiny_family  # noqa: E402


HEAD = """# Families of models

What works on which family of decoders, found by `python docs/models.py` on tiny random-weight models, one a family; the
tests hold each of them against plain PyTorch hooks: states of all blocks, an addition in the middle, and eight greedy
tokens, alone and in a padded batch. A trained model is tried out by itself when it is loaded: three passes find its
blocks and what each adds to the residual stream, a few more what it can do with padding and a cache. Blocks below are
those of the tiny model.

- **mixers**: what mixes tokens, by block; its output is the site `attention_output`.
- **sites**: all four, or those that every block has; single blocks may have more.
- **everywhere**: whether a direction can be written at all that enters the stream, as ablation "everywhere" does.
- **batch**: *padded* rows of several lengths in one pass, or *apart*, where padding would change the reply.
- **decoding**: with the model's own *cache* or state, or by *whole passes*: slower, and right.
- **orthogonal**: whether weights can be made orthogonal to a direction so that logits are those of ablation.
- **self-check**: *passes*, or the checks that fail.

In some families transformers 5.23 itself gives other logits in cached steps than in a whole pass. Replies are those of
the model's own `generate`; the self-check holds steps against its steps and passes against its passes, and says how far
the two lie apart.

- `nemotron_h`, `zamba2`: state-space mixers limit their time steps from below (`time_step_min`) in a whole pass and not
  in a step; in the tiny models that is 0.0003 to 0.01 standard deviations of the logits.
- `moshi`: a whole pass sees the whole text, a cached step the last `sliding_window` tokens. With its own configuration
  that is 3,000, as long as its context.
- `deepseek_v32`, `glm_moe_dsa`, `axk2`, `dots3_note_text`: behind `index_topk` tokens, indexers with few heads give
  many tokens the same score, zero, and which of them are read is chance. The tiny models have two heads; with 16 the
  two ways agree to 0.00001 standard deviations.

Not in the table: models of more than text whose language model is of one of these families (`llama4`, `qwen3_5_moe`,
`gemma3n`, …), and what transformers does not build from its own configuration (`musicgen`, assistants of Gemma 4).

"""
COLUMNS = ("family", "mixers", "sites", "everywhere", "batch", "decoding", "orthogonal", "self-check")
WRAPPED = "\n## Models of text and images, hosted by their language model\n\n"


def main() -> None:
    """Try every family and write the page."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--out", type=Path, default=ROOT / "docs" / "models.md")
    out = arguments.parse_args().out
    tokenizer, lane = AutoTokenizer.from_pretrained(resource("assets", "models", "demo")), Lane()
    try:
        tables = ["".join(_line(name, tokenizer, lane) for name in names) for names in (FAMILIES, WRAPPERS)]
    finally:
        lane.close()
    head = f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}\n"
    out.write_text(f"{HEAD}{head}{tables[0]}{WRAPPED}{head}{tables[1]}", encoding="utf-8")


def _line(name: str, tokenizer: Any, lane: Lane) -> str:
    print(name, flush=True)
    try:
        host = Host.wrap(tiny_family(name), tokenizer, name=name, lane=lane)
    except SteeringError as error:
        return f"| `{name}` | not hosted: {error.given} |{' |' * (len(COLUMNS) - 2)}\n"
    sites = host.sites
    cells = (
        sites.mixers,
        "all four" if len(sites.available) == 4 else _some(host),
        f"no: {sites.uncovered}" if sites.uncovered else "yes",
        "padded" if "left" in host.abilities.pads else "apart",
        "cache" if host.abilities.cache else "whole passes",
        _orthogonal(host),
        _checked(host),
    )
    return f"| `{name}` | {' | '.join(cells)} |\n"


def _some(host: Host) -> str:
    inner = {site: host.sites.having(site) for site in ("attention_output", "mlp_output")}
    said = [f"`{site}` in {numbered(blocks)}" for site, blocks in inner.items() if 0 < len(blocks) < host.info.blocks]
    return ", ".join([*(f"`{site}`" for site in host.sites.available), *said])


def _orthogonal(host: Host) -> str:
    direction = torch.randn(host.info.width, generator=torch.Generator().manual_seed(0))
    try:
        orthogonalised(host, direction / direction.norm())
    except SteeringError as error:
        if "norms what" in error.given:
            return "no: post-norms"
        if "do not give the logits" in error.given:
            return "no: logits are not those of ablation"
        return "no" if host.sites.uncovered else "no: weights laid out otherwise"
    return "yes"


def _checked(host: Host) -> str:
    failed = [check.name for check in self_check(host) if check.outcome == "fail"]
    return f"fails: {', '.join(failed)}" if failed else "passes"


if __name__ == "__main__":
    main()
