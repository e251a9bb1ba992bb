/* The prompt's tokens: shows `props.value` and calls `tell` with {first, last} when tokens are clicked, dragged over or
   chosen by keys. Texts are set as text. The chips stay the same elements from one value to the next, so that focus and a
   drag outlive what is typed elsewhere. */
(() => {
const HUES = ['a', 'b', 'c'], ROLES = ['template', 'system', 'user', 'assistant'];

window.tokenStrip = (element, props, tell, watch) => {
  const root = element.querySelector('.sw-strip-of'), list = root.querySelector('.sw-chips');
  const legend = root.querySelector('.sw-roles'), said = root.querySelector('[data-part="said"]');
  const chips = [], made = (name, of) => Object.assign(document.createElement(of ?? 'i'), {className: name});
  const gap = made('sw-faint'), reply = made('');
  let from = null, to = null, active = 0;
  gap.setAttribute('role', 'presentation');
  reply.textContent = 'generated …';
  reply.setAttribute('role', 'presentation');

  /* -- what is shown --------------------------------------------------------------------------------------------- */
  const written = hues => hues.map(hue => `sw-w${hue}`).join(' ');
  const show = () => {
    const strip = props.value ?? {}, tokens = strip.tokens ?? [], picked = new Set(strip.picked ?? []);
    root.hidden = !props.value;
    while (chips.length > tokens.length) chips.pop().remove();
    while (chips.length < tokens.length) {
      const chip = made('');
      chip.setAttribute('role', 'option');
      chip.tabIndex = -1;
      chips.push(chip);
    }
    tokens.forEach((token, n) => showOne(chips[n], token, picked.has(token[0])));
    list.hidden = tokens.length === 0;
    gap.textContent = strip.hidden ? `… ${strip.hidden.toLocaleString('en')} more …` : '';
    reply.className = written((strip.generated ?? []).filter(hue => HUES.includes(hue)));
    const wanted = [...chips, reply];
    if (strip.hidden) wanted.splice(strip.cut, 0, gap);
    else gap.remove();
    wanted.forEach((each, n) => { if (list.children[n] !== each) list.insertBefore(each, list.children[n] ?? null); });
    legend.replaceChildren(...(strip.roles ?? []).filter(role => ROLES.includes(role)).map(role => Object.assign(made(`sw-${role}`), {textContent: role})));
    said.textContent = strip.said ?? '';
    stop(Math.min(active, chips.length - 1));
  };
  const showOne = (chip, [at, text, role, hues, spaced], picked) => {
    const by = hues.filter(hue => HUES.includes(hue)), name = `“${text}”, ${role}, token ${at}${by.map(hue => `, written by recipe ${hue.toUpperCase()}`).join('')}`;
    if (chip.textContent !== text) chip.textContent = text;
    chip.dataset.token = at;
    chip.title = `token ${at}, ${role}`;
    const classes = [ROLES.includes(role) ? `sw-${role}` : '', written(by), spaced ? 'sw-s' : '', picked ? 'sw-picked' : ''];
    const joined = classes.filter(Boolean).join(' ');
    if (chip.className !== joined) chip.className = joined;
    chip.setAttribute('aria-label', name);
    chip.setAttribute('aria-selected', String(picked));
  };
  /* One chip is in the tab order; arrow keys go on from there. */
  const stop = n => {
    chips[active]?.setAttribute('tabindex', '-1');
    active = Math.max(0, n);
    chips[active]?.setAttribute('tabindex', '0');
  };

  /* -- picking --------------------------------------------------------------------------------------------------- */
  const mark = () => chips.forEach(chip => {
    const at = +chip.dataset.token;
    chip.classList.toggle('sw-picking', from !== null && at >= Math.min(from, to) && at <= Math.max(from, to));
  });
  const done = () => {
    if (from === null) return;
    tell({first: Math.min(from, to), last: Math.max(from, to)});
    from = to = null;
    mark();
  };
  const under = event => {
    const chip = document.elementFromPoint(event.clientX, event.clientY)?.closest('[data-token]');
    return chip && list.contains(chip) ? chip : null;
  };
  list.addEventListener('pointerdown', event => {
    const chip = under(event);
    if (!chip || event.button) return;
    stop(chips.indexOf(chip));
    from = to = +chip.dataset.token;
    mark();
  });
  list.addEventListener('pointermove', event => {
    const chip = from === null || !event.buttons ? null : under(event);
    if (chip) { to = +chip.dataset.token; mark(); }
  });
  list.addEventListener('pointercancel', () => { from = to = null; mark(); });
  window.addEventListener('pointerup', done);
  list.addEventListener('keydown', event => {
    const n = chips.indexOf(event.target);
    if (n < 0) return;
    const next = {ArrowRight: n + 1, ArrowDown: n + 1, ArrowLeft: n - 1, ArrowUp: n - 1, Home: 0, End: chips.length - 1}[event.key];
    if (next !== undefined) {
      event.preventDefault();
      if (!chips[next]) return;
      if (event.shiftKey) { from ??= +chips[n].dataset.token; to = +chips[next].dataset.token; }
      else from = to = null;
      mark();
      stop(next);
      chips[next].focus();
    } else if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      to = +chips[n].dataset.token;
      from ??= to;
      done();
    } else if (event.key === 'Escape') { from = to = null; mark(); }
  });
  watch('value', show);
  show();
};
})();
