"""What the `app.py` of a Space calls: the workbench on one model, served to anybody.

On ZeroGPU the GPU is never this process's. A call of the one decorated function is done by a fork of it, which has the
GPU for so many seconds of the visitor's own. So the model is loaded by the main thread while `app.py` is imported, for
which CUDA is stood in; all that needs a pass at a load is done on the CPU before the weights are moved; and the lane of
the page sends each job through that function.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

import gradio as gr
import spaces

from steering.errors import SteeringError
from steering.inline import Inline
from steering.lane import Lane
from steering.loading.demo_models import demo_models
from steering.loading.options import LoadOptions
from steering.model.fingerprint import fingerprint
from steering.model.host import Host
from steering.model.openings import chat_notes
from workbench.bench import Workbench
from workbench.doors.entrance import Entrance
from workbench.doors.limits import Limits
from workbench.frame.shell import launch
from workbench.space.child import work_of
from workbench.space.duration import Durations
from workbench.space.lane import DoorLane
from workbench.space.settings import Space
from workbench.temporary import passing_folder


ZERO = "SPACES_ZERO_GPU"
"""Environment variable that says that the GPU is ZeroGPU's."""


def start(space: Space) -> gr.Blocks:
    """Serve a Space until it is ended.

    Raises:
        SteeringError: A panel or a limit that does not exist. What keeps the model from standing is told on the page.
    """
    zero = os.environ.get(ZERO, "").lower() in ("1", "t", "true")
    lane = _gpu_lane(space) if zero else Lane()
    bench = _bench(space, lane)
    bench.notices = notices(space, zero=zero)
    try:
        _check_secrets(space.secrets)
        if isinstance(lane, DoorLane):
            bench.model.put(_on_gpu(space, lane))
    except SteeringError as error:  # the page says it, so that nobody has to look for it in the log
        bench.model.error = error
        print(error, flush=True)
    page: gr.Blocks = launch(
        "" if zero or bench.model.error else space.model,
        Entrance(
            os.environ.get("GRADIO_SERVER_NAME", "0.0.0.0"),
            int(os.environ.get("GRADIO_SERVER_PORT", "7860")),
            public=Limits.of(space.limits),
        ),
        bench=bench,
        load_options=LoadOptions(dtype=space.dtype, revision=space.revision),
    )
    return page


def notices(space: Space, *, zero: bool) -> tuple[str, ...]:
    """What a visitor of the Space should know, beside how much they may ask for."""
    kept = "No weights are saved, and none can be downloaded. Whoever runs the Space could read along on its machine."
    if not zero:
        return (kept,)
    return (
        kept,
        f"Each run has a GPU for some seconds, at most {space.gpu_seconds}, which Hugging Face takes from your own "
        "time of the day: 2 minutes without an account, more with one. Looking around, estimates and earlier runs "
        "cost none.",
    )


def _bench(space: Space, lane: Lane) -> Workbench:
    """A workbench in a folder that goes with the process."""
    bench = Workbench(workspace=passing_folder("steering-space-"), lane=lane)
    if space.panels:
        shown = {bench.catalogue.get(name).id for name in space.panels}
        panels = tuple(each for each in bench.catalogue.panels if each.id in shown)
        bench.catalogue = replace(bench.catalogue, panels=panels)
    return bench


def _check_secrets(names: Sequence[str]) -> None:
    lacking = [name for name in names if not os.environ.get(name)]
    if lacking:
        raise SteeringError(
            f"This Space lacks its secret{'s' * (len(lacking) > 1)} {', '.join(lacking)}.",
            remedy="Whoever owns it: add them under Settings, Variables and secrets, then restart the Space.",
        )


def _on_gpu(space: Space, lane: DoorLane) -> Host:
    """The model with its weights on the GPU. By the main thread, the only one for which CUDA is stood in for."""
    dtype = space.dtype
    if dtype == "auto":
        dtype = "float32" if space.model in demo_models() else "bfloat16"
    options = LoadOptions(dtype=dtype, device="cpu", revision=space.revision)
    host = Host.load(space.model, lane=Inline(), options=options)
    chat_notes(host)
    fingerprint(host)  # which reads all weights: afterwards they can be read in a fork alone
    host.put_on("cuda")
    host.lane = lane
    lane.host = host
    return host


def _gpu_lane(space: Space) -> DoorLane:
    """A lane behind the one function that has the GPU: of two, each would have a process with a model of its own."""

    @spaces.GPU(duration=lambda data, seconds: seconds)
    def on_gpu(data: bytes, seconds: int) -> Iterator[bytes]:
        yield from work_of(lane.host, data)

    lane = DoorLane(on_gpu, Durations(space.gpu_seconds).of)
    return lane
