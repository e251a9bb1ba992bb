// A hint on every term of the glossary: the first one in each card is marked, and its explanation shows at the pointer, on focus
// by keyboard, and at a touch. A form, or a card of results, is one tab stop: from its hint in focus the arrow keys go to the others. `window.workbenchTerms` is the glossary. Texts are set as text; nothing is evaluated.
(() => {
  const { pattern, terms } = window.workbenchTerms;
  const find = new RegExp(pattern, 'g');
  const known = new Map(terms.flatMap(term => term.forms.map(form => [form.toLowerCase(), term])));
  const PLACES = 'h2, h3, p, li, th, dt, legend, figcaption, caption, label span, [data-testid="block-info"], .info-text, .sw-pill, .sw-hinted';
  // Texts of people and models, and what is pressed or chosen: a hint inside a button could not be reached by keyboard.
  const NOT = 'button, a, summary, [role=tab], [role=option], [role=listbox], option, input, textarea, select, svg, pre, code, dfn, '
    + '.sw-pane, .sw-said, .sw-reply, .sw-one, .sw-strip, .sw-topbar, .sw-error, .sw-glossary, .plotly, [contenteditable], dialog';
  const CARD = '.sw-card, section, .sw-body-column, body';
  const stopOf = hint => hint.closest('.sw-left') ?? hint.closest(CARD);

  function mark(place) {
    if (place.closest(NOT)) return;
    const walker = document.createTreeWalker(place, NodeFilter.SHOW_TEXT);
    const texts = [];
    while (walker.nextNode()) texts.push(walker.currentNode);
    texts.filter(text => !text.parentElement.closest(NOT)).forEach(markText);
  }

  function markText(text) {
    find.lastIndex = 0;
    const card = text.parentElement.closest(CARD);
    for (let match; (match = find.exec(text.data));) {
      const term = known.get(match[0].toLowerCase());
      if (!term || card.querySelector(`.sw-term[data-term="${term.id}"]`)) continue;
      const word = text.splitText(match.index);  // what Gradio holds on to stays the first part
      const rest = word.splitText(match[0].length);
      const hint = document.createElement('dfn');
      hint.className = 'sw-term';
      hint.dataset.term = term.id;
      hint.tabIndex = -1;
      hint.setAttribute('aria-describedby', described(term));
      word.replaceWith(hint);
      hint.append(word);
      text = rest;
      find.lastIndex = 0;
    }
  }

  const within = (stop, hint) => stopOf(hint) === stop && hint.checkVisibility();
  const hintsOf = stop => [...stop.querySelectorAll('.sw-term')].filter(hint => within(stop, hint));

  // The hint that Tab reaches; the first in sight, unless one is chosen. Only those that may be it are looked at.
  function reach(stop, chosen) {
    const first = hints => [...stop.querySelectorAll(hints)].find(hint => within(stop, hint));
    const one = chosen ?? first('.sw-term[tabindex="0"]') ?? first('.sw-term');
    stop.querySelectorAll('.sw-term[tabindex="0"]').forEach(hint => { if (hint !== one && stopOf(hint) === stop) hint.tabIndex = -1; });
    if (one) one.tabIndex = 0;
  }

  // What a screen reader reads behind the word.
  function described(term) {
    const id = `sw-term-${term.id}`;
    if (!document.getElementById(id)) {
      const text = document.createElement('span');
      text.id = id;
      text.hidden = true;
      text.textContent = [term.means, term.formula].filter(Boolean).join(' ');
      document.body.append(text);
    }
    return id;
  }

  const box = document.createElement('div');
  box.id = 'sw-hint';
  box.popover = 'manual';
  box.setAttribute('aria-hidden', 'true');
  let leaving = 0, touched = false;

  function show(hint) {
    clearTimeout(leaving);
    const term = terms.find(each => each.id === hint.dataset.term);
    box.replaceChildren(...[['b', term.term], ['p', term.means], ['code', term.formula], ['small', term.source]]
      .filter(([, text]) => text).map(([tag, text]) => Object.assign(document.createElement(tag), { textContent: text })));
    if (!box.isConnected) document.body.append(box);
    box.showPopover();
    const at = hint.getBoundingClientRect(), size = box.getBoundingClientRect(), edge = 8;
    const below = at.bottom + 6 + size.height <= innerHeight;
    box.style.left = `${Math.max(edge, Math.min(at.left, innerWidth - size.width - edge))}px`;
    box.style.top = `${below ? at.bottom + 6 : Math.max(edge, at.top - size.height - 6)}px`;
  }

  const hide = () => { clearTimeout(leaving); if (box.matches(':popover-open')) box.hidePopover(); };
  const leave = () => { clearTimeout(leaving); leaving = setTimeout(hide, 250); };  // so that the pointer can reach the box
  const over = event => event.target.closest && event.target.closest('.sw-term');

  document.addEventListener('pointerover', event => {
    if (event.pointerType === 'touch') return;
    if (over(event)) show(over(event));
    else if (box.contains(event.target)) clearTimeout(leaving);
    else if (box.matches(':popover-open')) leave();
  });
  document.addEventListener('pointerdown', event => { touched = event.pointerType === 'touch'; if (!over(event)) hide(); });
  document.addEventListener('click', event => {
    if (!touched || !over(event)) return;
    event.preventDefault();  // in a label, the touch asks for the hint and not for the field
    show(over(event));
  });
  document.addEventListener('focusin', event => over(event) && event.target.matches(':focus-visible') && show(over(event)));
  document.addEventListener('focusout', event => over(event) && hide());
  document.addEventListener('keydown', event => {
    if (event.key === 'Escape') hide();
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key], hint = over(event);
    if (!step || !hint || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();  // else the page scrolls, which hides the hint
    const stop = stopOf(hint), hints = hintsOf(stop);
    const next = hints[hints.indexOf(hint) + step];
    if (!next) return;
    reach(stop, next);
    next.focus();
  });
  // What is folded has no hint that Tab could reach; what is unfolded may have the first.
  document.addEventListener('toggle', event => event.target.querySelectorAll('.sw-term').length && reach(stopOf(event.target)), true);
  document.addEventListener('scroll', () => over({ target: document.activeElement }) && document.activeElement.matches(':focus-visible') ? show(document.activeElement) : hide(),
    { capture: true, passive: true });  // what is focused is scrolled to

  // Looked at when the browser has nothing else to do, so that a streamed reply does not wait for it.
  const fresh = new Set(), idle = window.requestIdleCallback || (call => setTimeout(call, 50));
  let waiting = false;
  function look() {
    waiting = false;
    const roots = [...fresh].filter(root => root.isConnected && !root.closest(NOT));
    fresh.clear();
    roots.forEach(root => {
      if (root.matches(PLACES)) mark(root);
      root.querySelectorAll(PLACES).forEach(mark);
    });
    new Set([...document.querySelectorAll('.sw-term')].map(stopOf)).forEach(stop => reach(stop));
  }
  new MutationObserver(changes => {
    for (const change of changes) {
      for (const node of change.addedNodes) {
        if (node.nodeType === Node.ELEMENT_NODE && !node.matches('.sw-term, #sw-hint')) fresh.add(node);
      }
      // A text that is changed in its place, by Gradio or by streamed markup, loses the hints in it.
      for (const text of [change.target, ...change.addedNodes]) {
        if (text.nodeType === Node.TEXT_NODE && text.parentElement) fresh.add(text.parentElement.closest(PLACES) ?? text.parentElement);
      }
    }
    if (fresh.size && !waiting) { waiting = true; idle(look, { timeout: 1000 }); }
  }).observe(document, { subtree: true, childList: true, characterData: true });
})();
