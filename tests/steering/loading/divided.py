"""One of two processes that share a model, as torchrun starts them: `-m tests.steering.loading.divided FOLDER`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from steering.extraction.extract import extract
from steering.loading.options import LoadOptions
from steering.loading.tensor_parallel import place_among_others
from steering.model.fingerprint import fingerprint
from steering.model.host import Host
from steering.model.prompts import render
from steering.passes.decoding import generate, next_token_logits
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Row
from steering.selfcheck import self_check
from steering.vectors.vector import SteeringVector
from steering.writes.interventions import Write
from steering.writes.operations import Ablate, Add
from tests.steering.extraction.test_extraction import sets


LENGTH = 4


def found_of(host: Host) -> tuple[dict[str, Any], SteeringVector]:
    """What is read, written and said of a model: a sum at a block, an ablation inside one, drawn tokens."""
    vector = extract(host, sets(), name="tone")
    plan = (
        Write(Add(vector.directions[1], 90.0), 1, "block_output"),
        Write(Ablate(vector.directions[2]), 2, "mlp_output"),
    )
    rows = [Row(render(host, "Write to my boss.")), Row(render(host, "Write to my boss."), plan)]
    drawn = DecodeSettings(max_new_tokens=LENGTH, temperature=1.0, seed=3)
    plain, steered = generate(host, rows, drawn)
    logits = next_token_logits(host, rows)[:, :200].tolist()
    found = {"plain": plain.text, "steered": steered.text, "logits": logits, "direction": vector.directions[2].tolist()}
    return {**found, "fingerprint": fingerprint(host)}, vector


def main(folder: Path) -> None:
    """Find the same as one process does, then steer by the command."""
    from workbench.cli.main import app

    rank, _ = place_among_others()
    host = Host.load(str(folder), options=LoadOptions(tensor_parallel=2))
    found = found_of(host)[0] | {"device": host.info.device}
    found["part"] = host.model._module.model.layers[0].self_attn.q_proj.weight.to_local().shape[0]
    found["checks"] = {check.name: check.outcome for check in self_check(host)}
    (folder.parent / f"found-{rank}.json").write_text(json.dumps(found))
    recipe = str(folder.parent / "recipe.json")
    app(["steer", "Hello.", "--model", str(folder), "--tensor-parallel", "2", "--recipe", recipe, "--json"])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
