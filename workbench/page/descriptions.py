"""What components are, as a visitor's session keeps it: worked out once for all, since the components are the same."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.blocks import Block, BlocksConfig
from gradio.renderable import Renderable


class Descriptions(BlocksConfig):
    """The components and events of a page, as Gradio's; of its copies, one a session, the descriptions are shared.

    Gradio describes every component anew for everybody who opens a page, a quarter of a second for all pages here, in
    which the page's first event waits.
    """

    _known: dict[int, tuple[Block, dict[str, Any]]] | None = None
    """Of a session: what was described before, by a component's id, with the component. A layout that still grows
    has none.
    """

    def __copy__(self) -> Descriptions:
        new = Descriptions(self.root_block)
        new.blocks, new.fns, new.fn_id = self.blocks.copy(), self.fns.copy(), self.fn_id
        new.renderables = self.renderables.copy()
        new._known = self.root_block.described
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


class Described(gr.Blocks):
    """Blocks whose sessions share the descriptions of their components."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.default_config = Descriptions(self)
        self.described: dict[int, tuple[Block, dict[str, Any]]] = {}
