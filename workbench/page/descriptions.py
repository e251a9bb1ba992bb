"""What components are, as a visitor's session keeps it: worked out once for all, since the components are the same."""

from __future__ import annotations

from typing import Any

from gradio.blocks import Block, BlocksConfig
from gradio.renderable import Renderable
from gradio.state_holder import SessionState
from gradio.utils import deep_hash

from workbench.page.server import ServedOnce


class Descriptions(BlocksConfig):
    """The components and events of a page, as Gradio's; of its copies, one a session, the descriptions are shared.

    Gradio describes every component anew for everybody who opens a page, a quarter of a second for all pages here, in
    which the page's first event waits.
    """

    _known: dict[int, tuple[Block, dict[str, Any]]] | None = None
    """Of a session: what was described before, by a component's id, with the component. A layout that still grows
    has none.
    """

    _followed: tuple[int, frozenset[int]] = (0, frozenset())
    """How many events there were, and what of them `followed` gave."""

    @property
    def followed(self) -> frozenset[int]:
        """Ids of the components to whose change an event listens."""
        if len(self.fns) != self._followed[0]:
            ids = (id for fn in self.fns.values() for id, event in fn.targets if event == "change" and id is not None)
            self._followed = len(self.fns), frozenset(ids)
        return self._followed[1]

    def __copy__(self) -> Descriptions:
        new = Descriptions(self.root_block)
        new.blocks, new.fns, new.fn_id = self.blocks.copy(), self.fns.copy(), self.fn_id
        new.renderables = self.renderables.copy()
        new._known, new._followed = self.root_block.described, self._followed
        return new

    def config_for_block(
        self, _id: int, rendered_ids: list[int], block: Block, renderable: Renderable | None = None
    ) -> dict[str, Any]:
        """As Gradio's. What a session changes is its own: it puts another component in the place of the page's."""
        if self._known is None or renderable is not None:
            return BlocksConfig.config_for_block(_id, rendered_ids, block, renderable)
        known, description = self._known.get(_id, (None, {}))
        if known is not block:
            description = BlocksConfig.config_for_block(_id, rendered_ids, block)
            if self.root_block.default_config.blocks.get(_id) is block:
                self._known[_id] = block, description
        return {**description, "props": {**description["props"]}}  # Gradio notes there what stands on the page


class Described(ServedOnce):
    """Blocks whose sessions share the descriptions of their components."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.default_config = Descriptions(self)
        self.described: dict[int, tuple[Block, dict[str, Any]]] = {}

    def get_state_ids_to_track(self, block_fn: Any, state: SessionState | None) -> tuple[list[int], list[Any]]:
        """As Gradio's, which looks through all events of all pages for every state at every step of a stream."""
        if state is None:
            return [], []
        followed = state.blocks_config.followed
        ids = [part._id for part in block_fn.outputs if part.stateful and part._id in followed]
        return ids, [deep_hash(state[id]) for id in ids]
