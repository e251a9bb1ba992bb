"""The notebooks of the documentation: kept without outputs, and each runs from its first cell to its last."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import nbformat
import pytest
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

from tests.conftest import ROOT
from tests.markup_support import Output


DOCS = ROOT / "docs" / "notebooks.md"
FOLDER = ROOT / "docs" / "notebooks"
NAMES = ("first-steering", "refusal-direction", "trade-off", "probing", "your-own-model")
_LONGEST = 300
"""Seconds of a cell, on cores that are busy with something else."""


@dataclass
class Kernel:
    """A kernel, and who speaks to it."""

    manager: KernelManager
    client: Any = None

    def run(self, notebook: Any) -> None:
        """Run all cells; a cell that fails raises."""
        runner = NotebookClient(notebook, km=self.manager, timeout=_LONGEST)
        self.client = runner.kc = self.client or runner.start_new_kernel_client()
        for number, cell in enumerate(notebook.cells):
            runner.execute_cell(cell, number)

    def end(self) -> None:
        if self.client is not None:
            self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """One kernel for all of them, since torch and transformers take seconds to import; each loads its own model."""
    folder = tmp_path_factory.mktemp("kernel")
    own = {"STEERING_WORKBENCH_HOME": str(folder / "home"), "IPYTHONDIR": str(folder), "OMP_NUM_THREADS": "1"}
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    manager = KernelManager(transport="ipc", ip=str(folder / "kernel"))
    manager.start_kernel(env={**os.environ, **own, "PYTHONPATH": path}, cwd=str(folder))
    found = Kernel(manager)
    try:
        yield found
    finally:
        found.end()


def read(name: str) -> Any:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def said(notebook: Any) -> str:
    """All that its cells printed."""
    outputs = [each for cell in notebook.cells for each in cell.get("outputs", ())]
    return "".join(each["text"] for each in outputs if each.output_type == "stream")


def test_they_are_the_ones_that_the_documentation_lists_and_have_no_outputs() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*")) == sorted(NAMES)
    listed = DOCS.read_text(encoding="utf-8")
    for name in NAMES:
        notebook = read(name)
        nbformat.validate(notebook)
        assert f"(notebooks/{name}.ipynb)" in listed
        assert notebook.cells[0].source.startswith("# ")
        for cell in notebook.cells:
            assert not cell.get("outputs")
            assert cell.get("execution_count") is None


SHOWN = {
    "first-steering": """
assert len({reply.text for reply in replies}) == 3
assert pushed.text not in {reply.text for reply in replies[1:]}
assert page.closed
""",
    "refusal-direction": """
from steering.judges.refusal import is_refusal
plain, steered = replies
assert not is_refusal(plain.text)
assert is_refusal(steered.text)
effects = result.tables["effects"].set_index(["arm", "group"])["refusal"]
assert effects["none", "harmful"] == 1
assert effects["ablate", "harmful"] == 0
assert effects["add", "harmless"] > 0.5
assert (result.tables["floors"].query("group == 'harmful'")["refusal"] == 1).all()
""",
    "trade-off": """
points = result.tables["points"].query("method == 'sentiment, add'").set_index("strength")["alignment"]
assert points[1.0] > points[0.0] > points[-1.0]
""",
    "probing": """
best = result.tables["blocks"]["logistic_auroc"].max()
assert best > 0.7
""",
    "your-own-model": """
assert vector.provenance.n_train == (4, 4)
assert reply.text
""",
}
"""What the texts of each notebook say of its numbers, as code that runs behind its last cell."""


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_it_runs_and_shows_what_it_says(name: str, kernel: Kernel) -> None:
    notebook = read(name)
    notebook.cells.append(nbformat.v4.new_code_cell(SHOWN[name]))
    kernel.run(notebook)
    outputs = [each for cell in notebook.cells for each in cell.get("outputs", ())]
    warned = "".join(each.text for each in outputs if each.output_type == "stream" and each.name == "stderr")
    assert not re.sub(r"Loading weights.*", "", warned).strip()  # transformers' own bar
    rich = [each.data["text/html"] for each in outputs if "text/html" in each.get("data", {})]
    assert rich
    assert not [each for each in rich if "<script" in each]


@pytest.mark.slow
def test_stop_ends_a_cell_in_a_line_and_leaves_the_model_free(kernel: Kernel) -> None:
    """The signal is the one that Jupyter's Stop sends; it comes while the bar is shown."""
    long = """
import os, signal
from threading import Event
from steering import Host, Row, generate, render

def work(job):
    for n in range(100_000):
        job.report(n, 100_000, "steps <b>")
        if n == 60:
            os.kill(os.getpid(), signal.SIGINT)
        Event().wait(0.02)  # so that it takes more than a second, from which on a bar is shown

host = Host.load("demo")
row = Row(render(host, "Hello."))
before = generate(host, [row])
host.run(work, title="Long")
"""
    after = "assert host.lane.jobs() == []\nassert generate(host, [row]) == before\nbefore"
    cells = [nbformat.v4.new_code_cell(code) for code in (long, after)]
    cells[0].metadata["tags"] = ["raises-exception"]
    kernel.run(nbformat.v4.new_notebook(cells=cells))
    bars = [each for each in cells[0].outputs if each.output_type == "display_data"]
    (bar,) = bars  # loading, generating and the long job share a line
    assert bar.data["text/plain"].startswith("Long: stopped at ")
    assert "steps &lt;b&gt;" in bar.data["text/html"]
    (error,) = [each for each in cells[0].outputs if each.output_type == "error"]
    (line,) = error.traceback
    assert line.startswith("Interrupted: Long: stopped at ")
    assert error.ename == "Interrupted"
    (shown,) = [each for each in cells[1].outputs if each.output_type == "execute_result"]
    assert "Row 0, unsteered" in Output(shown.data["text/html"]).text
    assert shown.data["text/plain"].startswith("Row 0, unsteered\n")


@pytest.mark.slow
def test_the_server_of_a_page_ends_with_the_kernel_while_a_job_runs(kernel: Kernel) -> None:
    documented = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), flags=re.DOTALL)[0]
    assert "wb.show" in documented
    code = f"""{documented}
import torch
from itertools import count
from threading import Event

def work(job):
    big = torch.randn(300, 300)
    for n in count():
        big @ big
        job.report(n, None, "products")
        Event().wait(0.005)  # the kernel takes seconds to end, in which it would multiply without a pause

job = host.submit(work, title="Goes on")
print("port", page.url.partition("localhost:")[2].partition("/")[0])
"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    kernel.run(notebook)
    port = int(said(notebook).rpartition("port ")[2].split()[0])
    socket.create_connection(("127.0.0.1", port), timeout=10).close()
    process = kernel.manager.provisioner.process
    kernel.manager.request_shutdown()
    assert process.wait(timeout=60) == 0
    with pytest.raises(ConnectionRefusedError):
        _connect(port)


def _connect(port: int) -> None:
    """Twice, since a socket that was just closed may linger."""
    for _ in range(2):
        socket.create_connection(("127.0.0.1", port), timeout=10).close()
        time.sleep(0.5)
