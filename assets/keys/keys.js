// Keys of the page, and a sheet of them. Which button runs or stops is marked by the class `sw-key-run` or `sw-key-stop`, which
// Python puts on what a panel wires, or by `data-key`, as are the prompt and what undoes something. Single keys do nothing while one
// types, and can be turned off in the sheet.
(() => {
  const SINGLE = 'sw-single-keys';
  const marked = name => [...document.querySelectorAll(`.sw-key-${name}, [data-key="${name}"]`)].filter(shown);
  const shown = element => element.getClientRects().length > 0;
  const free = element => !element.disabled && element.getAttribute('aria-disabled') !== 'true' && !element.closest('[inert]');
  const typing = element => element.closest?.(
    'input:not([type=checkbox], [type=radio], [type=button], [type=submit]), textarea, select, [contenteditable], [role=textbox]');

  // The panel's Run: of several, the one in the card that one is in, else the main one.
  function runs() {
    const all = marked('run').filter(each => each.closest('.sw-body'));
    const near = document.activeElement?.closest('.sw-card');
    return all.find(each => near?.contains(each)) || all.find(each => each.classList.contains('primary')) || all[0];
  }
  const stops = () => marked('stop').find(free);
  const field = () => {
    const marks = marked('prompt').map(each => each.matches('input, textarea') ? each : each.querySelector('textarea, input'));
    return marks.find(Boolean) || [...document.querySelectorAll('.sw-body :is(textarea, input:not([type=hidden]), select)')].find(shown);
  };
  const vectors = () => [...document.querySelectorAll('.sw-shelf [data-pick]')];
  // Of several things that can be undone, what was done last.
  const undo = () => marked('undo').filter(free).sort((one, other) => (other.dataset.since ?? 0) - (one.dataset.since ?? 0))[0];
  const links = () => [...document.querySelectorAll('.sw-nav nav a')];

  function press(button) {
    if (!button || !free(button)) return;
    document.activeElement?.dispatchEvent(new Event('change', { bubbles: true }));  // what was typed last counts
    setTimeout(() => button.click());
  }

  function turn(by) {
    const all = links(), here = all.findIndex(link => link.hasAttribute('aria-current'));
    all[(here + by + all.length) % all.length]?.click();
  }

  function pick() {
    const fold = document.querySelector('.sw-shelf .sw-fold');
    if (fold && shown(fold) && !fold.checked) fold.click();
    const all = vectors().filter(shown);
    (all.find(each => each.getAttribute('aria-pressed') === 'true') || all[0])?.focus();
  }

  const KEYS = [
    { keys: ['r'], also: 'Ctrl + Enter', says: 'Run', there: runs, act: () => press(runs()) },
    { keys: ['s'], also: 'Ctrl + .', says: 'Stop', there: () => marked('stop')[0] || runs(), act: () => press(stops()) },
    { keys: ['n'], says: 'Next panel', there: () => links().length, act: () => turn(1) },
    { keys: ['b'], says: 'Panel before', there: () => links().length, act: () => turn(-1) },
    { keys: ['p'], says: 'To the prompt, or the first field', there: field, act: () => field().focus() },
    { keys: ['v'], says: 'To the vectors on the shelf: arrows move, Enter picks', there: () => vectors().length, act: pick },
    { keys: ['u'], says: 'Undo what was changed or removed last', there: undo, act: () => press(undo()) },
    { keys: ['?'], says: 'This sheet; Esc closes it', there: () => true, act: () => sheet.open ? sheet.close() : open() },
  ];

  const make = (tag, properties = {}, ...inside) => {
    const node = Object.assign(document.createElement(tag), properties);
    node.append(...inside);
    return node;
  };
  const sheet = make('dialog', { id: 'sw-keys' });
  sheet.setAttribute('aria-labelledby', 'sw-keys-title');
  const single = () => localStorage.getItem(SINGLE) !== 'off';

  function open() {
    const rows = KEYS.filter(each => each.there()).map(each => make('tr', {},
      make('td', {}, ...each.keys.map(key => make('kbd', { textContent: key })),
        ...(each.also ? [' or ', make('kbd', { textContent: each.also })] : [])),
      make('td', { textContent: each.says })));
    const box = make('input', { type: 'checkbox', checked: single() });
    box.addEventListener('change', () => localStorage.setItem(SINGLE, box.checked ? 'on' : 'off'));
    const close = make('button', { type: 'button', textContent: 'Close' });
    close.addEventListener('click', () => sheet.close());
    sheet.replaceChildren(
      make('h2', { id: 'sw-keys-title', textContent: 'Keys' }),
      make('table', {}, make('tbody', {}, ...rows)),
      make('p', { textContent: 'Single keys do nothing while you type; those with Ctrl do (⌘ on a Mac).' }),
      make('label', {}, box, ' Single keys'), close);
    if (!sheet.isConnected) document.body.append(sheet);
    sheet.showModal();  // focus stays inside, Esc closes, and focus goes back to where it was
  }

  function arrows(event) {
    const all = vectors().filter(shown), at = all.indexOf(event.target);
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (at < 0 || !by) return false;
    all[(at + by + all.length) % all.length].focus();
    return true;
  }

  document.addEventListener('keydown', event => {
    if (event.defaultPrevented || event.isComposing || event.altKey) return;
    if (event.ctrlKey || event.metaKey) {
      const act = { Enter: () => press(runs()), '.': () => press(stops()) }[event.key];
      if (!act || sheet.open || event.shiftKey) return;
      event.preventDefault();
      act();
      return;
    }
    if (arrows(event)) { event.preventDefault(); return; }
    if (typing(event.target) || !single() && event.key !== '?') return;
    const found = KEYS.find(each => each.keys.includes(event.key));
    if (!found || sheet.open && event.key !== '?' || !found.there()) return;
    event.preventDefault();
    found.act();
  });
  document.addEventListener('click', event => { if (event.target.closest?.('.sw-keys-open')) open(); });
})();
