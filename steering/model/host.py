"""Host: one loaded model, its tokenizer, chat template, blocks and sites; the only owner of the weights."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from nnsight import TransformersModel
from nnsight._c import unmount
from nnsight.modeling.tp import UnsupportedParallelStyle
from transformers import PreTrainedModel

from steering.errors import SteeringError
from steering.forms.shown import Shown
from steering.lane import Job, Lane, whole
from steering.loading.block_list import name_outputs
from steering.loading.configurations import number_of_blocks
from steering.loading.generation_settings import end_ids
from steering.loading.loader import load_model
from steering.loading.options import LoadOptions
from steering.loading.placement import as_from_one_place, entrance
from steering.loading.tokenizer_files import quiet
from steering.model.abilities import Abilities, find_abilities
from steering.model.chat_settings import ChatSettings
from steering.model.device_memory import no_room
from steering.model.forwards import of_the_model, put_right
from steering.model.host_shown import host_html, host_text
from steering.model.model_info import ModelInfo, describe
from steering.model.openings import chat_notes
from steering.model.residual import find_sites
from steering.model.sites import Sites


# nnsight adds `.save` to every object of the process on import, which breaks libraries that look for attributes (anyio,
# and with it the page). The function `nnsight.save` does the same and stays.
if hasattr(object, "save"):
    unmount("save")

if TYPE_CHECKING:
    from steering.model.outcome import Check

T = TypeVar("T")
_MOST_VIEWS = 32
"""Chat settings under which what was found of a model is remembered."""


class _Traced(TransformersModel):
    """nnsight sends inputs to where the first weight lies, which is nowhere while that one is on the disk."""

    @property
    def device(self) -> torch.device:
        return entrance(self._module)


class Host(Shown):
    """A model on its lane. Every read and write goes through `run`, whatever thread asks."""

    def __init__(self, model: PreTrainedModel, tokenizer: Any, *, info: ModelInfo, sites: Sites, lane: Lane) -> None:
        self.sites = sites
        self.lane = lane
        self.tokenizer = tokenizer
        put_right(model.eval())
        self.abilities = self._abilities(model, info.name)  # before nnsight wraps its forward pass
        self.info = replace(info, notes=(*info.notes, *self.abilities.limits))
        # nnsight wants a task by which transformers builds a pipeline; nothing here goes through it. A model's own code
        # may lack `generate`, without which there is no pipeline of text generation.
        task = "text-generation" if model.can_generate() else "feature-extraction"
        try:
            with quiet(), as_from_one_place(model):  # the pipeline knows no wrappers, and says so at length
                self.model = _Traced(model, tokenizer=tokenizer, task=task)
        except UnsupportedParallelStyle as error:
            raise SteeringError(
                f"{info.name} is divided among processes in a way that nnsight cannot trace: {cause(error)}",
                "a model whose parts nnsight can put together.",
                "Use --device-map auto instead.",
            ) from error
        self.end_ids = end_ids(model, tokenizer)
        self.chat = ChatSettings()
        """How the chat template is used; never changed, since what is known of a host is known under it: see
        `under`."""
        self.options = LoadOptions()
        """How it was loaded."""
        self.openings: dict[str, Any] = {}
        """What `steering.model.openings` has worked out."""
        self.base = self
        """The same model under its own chat settings, whatever those of this view are."""
        self._views: dict[str, Host] = {}

    def __repr__(self) -> str:
        return f"<Host '{self.name}': {self.info.summary}>"

    def __str__(self) -> str:
        return host_text(self)

    def _repr_html_(self) -> str:
        return host_html(self)

    @classmethod
    def load(cls, name: str, *, lane: Lane | None = None, options: LoadOptions | None = None) -> Host:
        """Load a model by the name of a demo model, a local folder or a Hub id.

        Args:
            name: "demo", the path of a model's or adapter's folder or of a GGUF file, or an id such as
                `Qwen/Qwen3-0.6B`.
            lane: The model thread to live on; a new one where none is given.
            options: Device, precision and trust.

        Raises:
            SteeringError: No such model, no weights in the folder, unknown architecture, unknown dtype or device.
        """
        lane = lane or Lane()
        return lane.run(lambda job: cls._load(name, lane, options or LoadOptions(), job), title=f"Loading {name}")

    @classmethod
    def _load(cls, name: str, lane: Lane, options: LoadOptions, job: Job[Any]) -> Host:
        read = load_model(name, options, job)
        job.report(2, 3, "finding blocks and sites")
        sites = find_sites(read.model, read.n_blocks, options.blocks)
        info = describe(
            name,
            read.source,
            read.model,
            read.tokenizer,
            sites,
            revision=read.revision,
            adapter=read.adapter,
            base=read.base,
            quantisation=read.quantisation,
            notes=read.notes,
        )
        host = cls(read.model, read.tokenizer, info=info, sites=sites, lane=lane)
        host.options = options
        host.check  # noqa: B018 - so that it is known when the model stands
        return host

    @classmethod
    def wrap(cls, model: PreTrainedModel, tokenizer: Any, *, name: str = "model", lane: Lane | None = None) -> Host:
        """Host a model that is already in memory (a notebook's, or a test's random one)."""
        lane = lane or Lane()
        name_outputs(model)
        n_blocks = number_of_blocks(model.config)
        sites = lane.run(lambda job: find_sites(model, n_blocks), title=f"Finding sites of {name}")
        info = describe(name, "memory", model, tokenizer, sites)
        return cls(model, tokenizer, info=info, sites=sites, lane=lane)

    def _abilities(self, model: PreTrainedModel, name: str) -> Abilities:
        try:
            blocks = model.get_submodule(self.sites.blocks_path)
            return self.run(lambda job: find_abilities(model, self.tokenizer, blocks), title="Trying out the model")
        except SteeringError:
            raise
        except Exception as error:  # whatever the model's own code raises
            raise SteeringError(
                f"{name} was loaded, but cannot read a short text: {cause(error)}",
                "a causal language model whose forward pass takes token ids and gives logits.",
                "Check that its files are whole, and that its own code fits the versions of torch and transformers.",
            ) from error

    @cached_property
    def check(self) -> tuple[Check, ...]:
        """What the short self-check found: run at a load, or kept from an earlier one of the same weights."""
        from steering.selfcheck.kept import checked  # it works with hosts

        chat_notes(self)  # how replies begin may take a pass, which must not be among those that are counted

        def work(job: Job[tuple[Check, ...]]) -> tuple[Check, ...]:
            with whole():  # a job that is let in would wait for this very property
                return checked(self)

        return self.run(work, title="Self-check")

    @property
    def warnings(self) -> tuple[str, ...]:
        """What has to stand beside a result of this model, a sentence a failed check; none for most."""
        from steering.model.outcome import warnings  # as above

        return warnings(self.name, self.check)

    def under(self, chat: ChatSettings | None) -> Host:
        """The same model with other chat settings, for one study or one recipe; itself where None.

        What is read under a setting is kept by it: equal settings give the same object.
        """
        if chat is None or chat == self.chat:
            return self
        base = self.base
        if chat == base.chat:
            return base
        views, key = base._views, chat.to_json()
        if key not in views and len(views) >= _MOST_VIEWS:
            views.pop(next(iter(views)))
        view = views.setdefault(key, copy(base))
        view.__dict__.update({**base.__dict__, "chat": chat})
        return view

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def device(self) -> torch.device:
        """Where token ids go in: the device of the embedding."""
        return entrance(self.model._module)

    def put_on(self, device: str) -> None:
        """Put the weights on another device, for all that is done from now on."""
        self.run(lambda job: self.model._module.to(device), title=f"Moving the weights to {device}")
        self.info = replace(self.info, device=device)

    def run(self, work: Callable[[Job[Any]], T], *, title: str) -> T:
        """Do `work` on the model thread and return its result; joins the current job when already there."""
        return self.lane.run(lambda job: guarded(work, job), title=title)

    def submit(self, work: Callable[[Job[T]], T], *, title: str, joins: object = None) -> Job[T]:
        """Queue `work` on the model thread, as `Lane.submit`."""
        return self.lane.submit(lambda job: guarded(work, job), title=title, joins=joins)


def guarded(work: Callable[[Job[Any]], T], job: Job[Any]) -> T:
    """Run `work`; a failure of memory or of the model's own code becomes an error that says what to do."""
    try:
        return work(job)
    except torch.OutOfMemoryError as error:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        raise no_room(error, job.title) from error
    except Exception as error:
        if not of_the_model(error):
            raise
        raise SteeringError(
            f"The model's own code failed during '{job.title}': {cause(error)}",
            "a model that can do this.",
            "Run the self-check, which says what this model can do; other blocks, sites or shorter texts may work.",
        ) from error


def cause(error: BaseException) -> str:
    """An exception of another library, in a line."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {first[:300]}" if first else type(error).__name__
