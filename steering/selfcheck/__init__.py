"""A minute of tests on a loaded model, before its results are trusted.

Every check compares two ways of computing the same thing, of which one involves as little of the workbench as can be: a
plain PyTorch hook, the model by itself, arithmetic on states. None needs to know the architecture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from steering.errors import SteeringError
from steering.loading.tensor_parallel import parts
from steering.model.host import Host, cause
from steering.model.outcome import Check
from steering.passes import captured
from steering.selfcheck.bench import Bench, Failed, NotApplicable, random_directions
from steering.selfcheck.checks import CHECKS, DIVIDED, LAUNCHED, threads_apart


__all__ = ["CHECKS", "Check", "Failed", "NotApplicable", "checks_of", "self_check"]


def checks_of(host: Host) -> dict[str, tuple[str, Callable[[Bench], str]]]:
    """The checks that a model is given, as `CHECKS`."""
    divided = parts(host.model._module) > 1
    return {**CHECKS, **(DIVIDED if divided else {}), **(LAUNCHED if captured.records(host) else {})}


def self_check(host: Host, *, seed: int = 0) -> Iterator[Check]:
    """Run every check, one result at a time; one that breaks counts as failed and the others still run.

    Call from any thread but the model's own: one check asks from several threads at once.

    Args:
        host: The model; it is left as it was.
        seed: Of the random directions that are written.
    """
    bench = Bench(host, random_directions(host, seed))
    for name, (meaning, check) in checks_of(host).items():
        yield _outcome(name, meaning, check, bench)


def _outcome(name: str, meaning: str, check: Callable[[Bench], str], bench: Bench) -> Check:
    try:
        if check is threads_apart:
            return Check(name, "pass", meaning, check(bench))
        return Check(name, "pass", meaning, bench.host.run(lambda job: check(bench), title=f"Self-check: {name}"))
    except NotApplicable as reason:
        return Check(name, "not applicable", meaning, str(reason))
    except (Failed, SteeringError) as reason:
        return Check(name, "fail", meaning, str(reason))
    except Exception as error:  # a fault in the model's own code says as much as a wrong number
        return Check(name, "fail", meaning, cause(error))
