"""Shared fixtures: tiny random-weight models of many architectures, the demo model, real checkpoints where they are."""

from __future__ import annotations

import gc
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any


os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # the suite uses no network: a Hub id must fail at once
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Of programs that tests start, too: with as many threads as cores each, they wait for each other in busy loops.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Ray's workers stand back behind everything else, and tests keep every core busy: they would wait for minutes.
os.environ.setdefault("RAY_worker_niceness", "0")
os.environ.pop("COLUMNS", None)  # pytest-xdist sets it, and tables are as wide as without a terminal

import pytest

import workbench  # noqa: F401 - before Gradio, which is imported sooner so


if TYPE_CHECKING:  # what takes seconds to import is imported by those who run tests, not by who tells them which
    from transformers import PreTrainedModel

    from steering.lane import Lane
    from steering.model.host import Host

gc.disable()  # until all is collected: imports and thousands of tests leave nothing that a search could free

# pytest imports this file as `conftest`, tests as `tests.conftest`: one module, so that a tiny model is built once.
sys.modules["tests.conftest"] = sys.modules[__name__]

ROOT = Path(__file__).parent.parent
REAL_MODELS = Path(os.environ.get("STEERING_REAL_MODELS", ROOT.parent / "shared" / "models"))

_SMALL = {
    "vocab_size": 3072,
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
}
_GATED = {**_SMALL, "intermediate_size": 64, "num_key_value_heads": 2}
_HEAD = {**_GATED, "head_dim": 8}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "llama": _GATED,
    "qwen2": _GATED,
    "qwen3": _HEAD,
    "mistral": _GATED,
    "gemma2": {**_HEAD, "sliding_window": 16},
    "gemma3_text": {**_HEAD, "sliding_window": 16},
    "phi3": {**_GATED, "pad_token_id": 0},
    "olmo2": _GATED,
    "gpt2": {"vocab_size": 3072, "n_embd": 32, "n_layer": 4, "n_head": 4, "n_positions": 128},
    "gpt_neo": {
        "vocab_size": 3072,
        "hidden_size": 32,
        "num_layers": 4,
        "num_heads": 4,
        "max_position_embeddings": 128,
        "attention_types": [[["global", "local"], 2]],
        "window_size": 16,
    },
    "gpt_neox": {**_SMALL, "intermediate_size": 64},
    "opt": {**_SMALL, "ffn_dim": 64, "word_embed_proj_dim": 32},
    "mixtral": {**_GATED, "num_local_experts": 4, "num_experts_per_tok": 2},
    "qwen2_moe": {
        **_GATED,
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 32,
        "shared_expert_intermediate_size": 32,
    },
}


PLOTLY = "/* Plotly.js */"
"""In place of Plotly's script, in the reports of tests."""
NO_TOKEN = ""
"""Of a page that lets in whoever reaches it, since a test is about something else."""

LONGEST = (
    "test_tradeoff_study",
    "test_train_study",
    "test_refusal_study",
    "test_families",
    "test_run_code",
    "test_notebooks",
    "test_space_gpu",
    "test_probing_study",
    "test_crashes",
    "test_cli",
    "test_serving",
    "test_package",
    "test_nats",
    "test_exact",
    "test_demo_train",
    "test_pages",
    "test_without_texts",
    "test_page_fuzz",
    "test_many_visitors",
    "test_soak",
    "test_serve",
    "test_vector_card",
    "test_show",
    "test_visitors_runs",
    "test_odd_models",
    "test_tensor_parallel",
    "test_selfcheck",
    "test_archive",
    "test_ray",
)
"""Files that take longest; behind those with a browser they come first, so that every core is busy to the end."""


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """As many as cores (`-n auto`), and one more where tests wait for their browser, and the browser for its page."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores + ("not browser" not in config.option.markexpr)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first; within a file, and among the others, the order stays.

    A test in a browser that fails is run once more, and named: on a busy machine Chromium has lost clicks and streams
    that nobody could make it lose again.
    """
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.flaky(reruns=1))
    order = {name: place for place, name in enumerate(LONGEST)}

    def place_of(item: pytest.Item) -> int:
        name = item.path.stem
        return -1 if name.startswith("test_browser") else order.get(name, len(LONGEST))

    items.sort(key=place_of)


def pytest_collection_finish() -> None:
    """What is there now stays to the end: a search for what nobody needs any more would go through it every time, which
    takes half a second with all modules that tests import. And programs of tests are forked from it.
    """
    import httpx._transports.default as transports
    import torch
    import typer.testing

    import steering.studies.page

    # Reports carry 5 MB of it, which are packed and searched wherever a run is kept, and which no test runs.
    steering.studies.page.get_plotlyjs = lambda: PLOTLY
    # Of every client anew, although none here speaks to anybody by TLS.
    transports.create_ssl_context = cache(transports.create_ssl_context)
    # All commands are made of their functions at every call of one, which takes a tenth of a second.
    typer.testing._get_command = cache(typer.testing._get_command)
    # Tiny models gain nothing from more threads, and on a shared machine threads that wait for each other lose a lot.
    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()
    gc.enable()
    if "tests.programs" in sys.modules:
        sys.modules["tests.programs"].begin()


def pytest_sessionfinish() -> None:
    if "tests.programs" in sys.modules:
        sys.modules["tests.programs"].end()


@cache
def tiny_model(architecture: str) -> PreTrainedModel:
    """A random-weight model, built from its configuration alone; weights wide enough that argmax is never a
    near-tie.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    config = AutoConfig.for_model(architecture, bos_token_id=1, eos_token_id=None, **ARCHITECTURES[architecture])
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.25)
    model.generation_config.eos_token_id = None
    return model


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What the suite keeps belongs to nobody's own workspace; it goes when the session ends, and with pytest's own
    folders where that is killed.
    """
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEERING_WORKBENCH_HOME", str(folder))
        yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    """The demo model's tokenizer: 2,048 tokens, with a chat template."""
    from transformers import AutoTokenizer

    from steering.resources import resource

    return AutoTokenizer.from_pretrained(resource("assets", "models", "demo"))


@pytest.fixture(scope="session")
def lane() -> Iterator[Lane]:
    from steering.lane import Lane

    lane = Lane()
    yield lane
    lane.close()


@pytest.fixture(scope="session")
def tiny_host(tokenizer: Any, lane: Lane) -> Callable[[str], Host]:
    """Host of a tiny random-weight model, by architecture name."""
    from steering.model.host import Host

    @cache
    def build(architecture: str) -> Host:
        return Host.wrap(tiny_model(architecture), tokenizer, name=f"tiny-{architecture}", lane=lane)

    return build


@pytest.fixture(scope="session")
def demo(lane: Lane) -> Host:
    """The demo model that ships with the project."""
    from steering.model.host import Host

    return Host.load("demo", lane=lane)


def real_model(name: str) -> Path:
    """Folder of a real checkpoint, or a skip that says why."""
    folder = REAL_MODELS / name
    if not folder.is_dir():
        pytest.skip(
            f"the real checkpoint {name} is not at {REAL_MODELS}; set STEERING_REAL_MODELS to its parent folder"
        )
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, str]]:
    """A served workbench and its address, for browser tests."""
    from browser_support import served

    with served(tmp_path_factory.mktemp("served")) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    from browser_support import started

    with started() as browser:
        yield browser
