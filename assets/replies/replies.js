/* Replies side by side: shows `props.value`, a list of panes. What a server has escaped is set as markup, and only where it
   has changed, so that a long conversation costs a streamed reply nothing. Calls `tell` with the {column, token} that is chosen. */
(() => {
const HUES = ['a', 'b', 'c'];

/* One element of a group is in the tab order; arrow keys go on from there. */
const step = (event, selector) => {
  const by = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key], at = event.target.closest(selector);
  if (!by || !at) return;
  event.preventDefault();
  const all = [...at.parentElement.querySelectorAll(selector)], next = all[all.indexOf(at) + by];
  if (next) { at.tabIndex = -1; next.tabIndex = 0; next.focus(); }
};

window.replyPanes = (element, props, tell, watch) => {
  const root = element.querySelector('.sw-panes'), model = element.querySelector('template').content.firstElementChild;
  const panes = [];
  let chosen = null;

  const write = (part, name, text) => { if (part.was !== text) { part[name] = text; part.was = text; } };
  const show = () => {
    const given = Array.isArray(props.value) ? props.value : [];
    while (panes.length > given.length) panes.pop().remove();
    while (panes.length < given.length) panes.push(root.appendChild(model.cloneNode(true)));
    root.className = `sw-panes sw-panes-${given.length}`;
    given.forEach((each, n) => showOne(panes[n], each));
    if (given.some(each => each.state)) chosen = null;
    mark();
  };
  const showOne = (pane, each) => {
    pane.className = `sw-pane ${HUES.includes(each.hue) ? `sw-${each.hue}` : 'sw-plain'}${each.state === 'empty' ? ' sw-blank' : ''}`;
    pane.setAttribute('aria-label', `Reply: ${each.title}`);
    const now = pane.querySelector('.sw-now');
    now.setAttribute('aria-busy', String(each.state === 'writing'));
    write(pane.querySelector('header b'), 'textContent', each.title);
    write(pane.querySelector('header span'), 'textContent', each.corner);
    write(pane.querySelector('.sw-before'), 'innerHTML', each.before);
    write(now, 'innerHTML', each.now);
    write(pane.querySelector('footer'), 'textContent', each.foot);
  };
  const mark = () => {
    root.querySelectorAll('.sw-chosen').forEach(each => each.classList.remove('sw-chosen'));
    if (chosen) root.querySelector(`[data-column="${chosen.column}"][data-token="${chosen.token}"]`)?.classList.add('sw-chosen');
  };
  const choose = event => {
    const token = event.target.closest('[data-token]');
    if (!token || (event.key && event.key !== 'Enter' && event.key !== ' ')) return;
    if (event.key) event.preventDefault();
    chosen = {column: +token.dataset.column, token: +token.dataset.token};
    mark();
    tell(chosen);
  };
  root.addEventListener('click', choose);
  root.addEventListener('keydown', choose);
  root.addEventListener('keydown', event => step(event, '[data-token]'));
  watch('value', show);
  show();
};

/* A card that stands right at what was chosen of `many` (a selector), below it or above, and in sight. */
window.cardAt = (element, props, watch, many) => {
  const box = element.closest('.block.sw-pop');
  element.setAttribute('aria-live', 'polite');
  const anchor = () => document.querySelector(`${many}.sw-chosen`);
  const close = () => {
    if (!props.value) return;
    const at = anchor();
    props.value = '';
    if (box.contains(document.activeElement)) at?.focus();
    at?.classList.remove('sw-chosen');
  };
  const place = () => {
    const at = anchor(), from = box.offsetParent;
    if (!props.value || !at || !from) return;
    const lines = at.getClientRects(), line = lines[lines.length - 1], frame = from.getBoundingClientRect();
    const foot = Math.min(frame.bottom, innerHeight - parseFloat(getComputedStyle(box).getPropertyValue('--strip') || 0));
    const below = line.bottom + 6, above = lines[0].top - 6 - box.offsetHeight;
    const top = below + box.offsetHeight > foot && above > Math.max(frame.top, 0) ? above : below;
    box.style.left = `${Math.max(0, Math.min(line.left - frame.left - 12, from.clientWidth - box.offsetWidth))}px`;
    box.style.top = `${top - frame.top + from.scrollTop}px`;
    box.scrollIntoView({block: 'nearest'});
  };
  watch('value', place);
  window.addEventListener('resize', place);
  element.addEventListener('click', event => { if (event.target.closest('.sw-close')) close(); });
  document.addEventListener('keydown', event => { if (event.key === 'Escape') close(); });
  document.addEventListener('pointerdown', event => { if (!box.contains(event.target) && !event.target.closest(many)) close(); });
};
})();
