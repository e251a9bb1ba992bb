/* The shelf: shows `props.value`, {cards, picked, removed, uploads}, as cards below their groups. What is picked, removed, had back
   or added goes to the server, which sends the value anew; what is noted goes through `server.write_down`. Names, notes and
   texts from files are set as text, never as markup. How one card looks stands in `card.js`. */
(() => {
const NOTE = 'Number: best held-out AUROC. Curve: AUROC by block, 0.5 at the base line.';
const EMPTY = 'Empty. Extract a vector, or add a vector file.';
const HANDFUL = 6, CLOSED = 'sw-shelf-closed';

window.vectorShelf = (element, props, server, watch, upload, trigger) => {
  const root = element.querySelector('.sw-shelf-box');
  const part = name => root.querySelector(`[data-part="${name}"]`), list = part('list'), file = part('file'), search = part('search');
  const {card, editor} = window.shelfCards(root);
  let drawn = '', added = null, editing = null;
  file.accept = props.endings;

  /* What number and curve of a card are; a shelf of trained vectors, or of other tools' files, has neither. */
  const said = cards => cards.some(each => each.curve?.length) ? NOTE : cards.length ? '' : EMPTY;

  /* -- groups ------------------------------------------------------------------------------------------------------ */
  const closed = () => {
    try { return JSON.parse(localStorage.getItem(CLOSED)) ?? []; } catch { return []; }
  };
  const listed = cards => {
    const holder = document.createElement('div');
    holder.setAttribute('role', 'list');
    holder.append(...cards);
    return holder;
  };
  const grouped = (name, cards) => {
    const fold = document.createElement('details'), head = document.createElement('summary'), holder = listed(cards);
    fold.className = 'sw-group';
    fold.dataset.group = name;
    fold.open = !closed().includes(name);
    head.textContent = `${name} · ${cards.length}`;
    holder.setAttribute('aria-label', name);
    // Of a fold that a search has opened nothing is kept.
    head.addEventListener('click', () => {
      const others = closed().filter(each => each !== name);
      localStorage.setItem(CLOSED, JSON.stringify(fold.open ? [...others, name] : others));
    });
    fold.append(head, holder);
    return fold;
  };
  const cardsNow = () => [...list.querySelectorAll('.sw-v')];
  const cardOf = name => cardsNow().find(each => each.dataset.name === name);

  /* -- search ------------------------------------------------------------------------------------------------------ */
  const look = () => {
    const {cards} = props.value ?? {cards: []}, words = search.hidden ? [] : search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const text = new Map(cards.map(each => [each.name, [each.name, each.note, each.group, ...(each.facts ?? [])].join('\n').toLowerCase()]));
    let shown = 0;
    for (const each of cardsNow()) {
      each.hidden = !words.every(word => text.get(each.dataset.name)?.includes(word));
      shown += !each.hidden;
    }
    for (const fold of list.querySelectorAll('.sw-group')) {
      fold.hidden = !fold.querySelector('.sw-v:not([hidden])');
      fold.open = words.length > 0 || !closed().includes(fold.dataset.group);
    }
    if (words.length) part('said').textContent = `${shown} of ${cards.length} ${cards.length === 1 ? 'vector' : 'vectors'}.`;
  };

  /* -- drawing ----------------------------------------------------------------------------------------------------- */
  /* Focus stays on the same control of the same vector; where that is gone, on what stands in its place. */
  const draw = () => {
    const value = props.value ?? {cards: [], picked: null, removed: []}, now = JSON.stringify([value.cards, value.picked, value.removed, value.uploads]);
    if (added && value.added !== added) props.value = {...value, added};
    if (now === drawn) return;
    drawn = now;
    const held = root.contains(document.activeElement) ? document.activeElement : null;
    const own = held?.closest('.sw-v'), n = own ? cardsNow().indexOf(own) : -1;
    if (editing && !value.cards.some(each => each.name === editing.name)) editing = null;
    const nodes = value.cards.map(each => [each.group ?? '', card(each, value.picked)]);
    const names = [...new Set(nodes.map(([group]) => group))].filter(Boolean).sort((one, other) => one.localeCompare(other));
    const of = name => nodes.filter(([group]) => group === name).map(([, node]) => node);
    list.replaceChildren(listed(of('')), ...names.map(name => grouped(name, of(name))));
    root.querySelector('#sw-groups').replaceChildren(...names.map(value => Object.assign(document.createElement('option'), {value})));
    root.querySelector('.sw-count').textContent = value.cards.length;
    search.hidden = value.cards.length <= HANDFUL;
    part('note').textContent = said(value.cards);
    const [last] = value.removed ?? [], gone = part('gone'), undo = gone.querySelector('button');
    gone.hidden = !last;
    undo.textContent = last ? `Undo: have ${last.name} back` : '';
    undo.dataset.id = last?.id ?? '';
    if (editing) show(editing);
    window.shelfUploads(part('library'), value.uploads ?? [], value.room ?? '');
    look();
    if (own) focus(own.dataset.name, held, n);
    else if (held && !held.isConnected) part('library').querySelector('summary').focus();
    else if (held === undo && gone.hidden) root.querySelector('[data-do="choose"]').focus();
  };
  const focus = (name, held, n) => {
    const same = cardOf(name), next = same ?? cardsNow()[Math.min(n, cardsNow().length - 1)];
    const at = held.dataset.in ? `[data-in="${held.dataset.in}"]` : `[data-do="${same ? held.dataset.do : 'pick'}"]`;
    (next?.querySelector(at) ?? root.querySelector('[data-do="choose"]')).focus();
  };
  const say = text => { part('said').textContent = text; };

  /* -- noting ------------------------------------------------------------------------------------------------------ */
  const show = given => {
    const card = cardOf((given ?? editing)?.name);
    editing = given;
    card?.querySelector('.sw-editor')?.remove();
    card?.querySelector('[data-do="edit"]').setAttribute('aria-expanded', String(Boolean(given)));
    if (given) card?.append(editor(given));
    return card;
  };
  const close = () => show(null)?.querySelector('[data-do="edit"]').focus();
  const save = async () => {
    const given = editing;
    let found;
    try { found = await server.write_down(given); }
    catch { found = {said: 'The server could not be reached.'}; }
    if (editing !== given) return;  // typed on meanwhile, or closed
    if (!found.name) { show({...given, said: String(found.said)}).querySelector('[data-do="save"]').focus(); return; }
    close();
    say(found.name === given.name ? `Noted of ${found.name}.` : `${given.name} is called ${found.name} now.`);
    trigger('noted', {name: found.name});
  };

  /* -- adding ------------------------------------------------------------------------------------------------------ */
  const add = async given => {
    if (!given) return;
    say(`Reading ${given.name} …`);
    try { ({path: added} = await upload(given)); }
    catch { say(`${given.name} could not be sent.`); return; }
    props.value = {...props.value, added};
    await new Promise(done => setTimeout(done));
    say('');
    trigger('upload');
  };
  const acts = {
    choose: () => file.click(),
    pick: name => trigger('pick', {name}),
    remove: name => {
      trigger('remove', {name});
      part('gone').querySelector('button').dataset.since = Date.now();
      say(`${name} is removed. Undo has it back, until the workbench ends.`);
    },
    restore: (name, button) => {
      trigger('restore', {id: button.dataset.id});
      say('It is on the shelf again.');
    },
    discard: (name, button) => {
      trigger('discard', {digest: button.dataset.digest});
      part('gone').querySelector('button').dataset.since = Date.now();
      say(`${button.dataset.name} is removed. Undo has it back, until the workbench ends.`);
    },
    edit: name => {
      const again = editing?.name === name;
      if (editing) show(null);
      if (again) return;
      const {group, note} = props.value.cards.find(each => each.name === name);
      show({name, title: name, group, note}).querySelector('[data-in="title"]').focus();
    },
    save, cancel: close,
    download: async name => {
      const path = await server.file_of(name);
      if (!path) { say(`${name} is not on the shelf any more.`); return; }
      const href = new URL('gradio_api/file=' + path.split('/').map(encodeURIComponent).join('/'), document.baseURI);
      Object.assign(document.createElement('a'), {href, download: `${name}.safetensors`}).click();
    },
  };
  root.addEventListener('click', event => {
    const button = event.target.closest('[data-do]');
    if (button) acts[button.dataset.do](button.closest('.sw-v')?.dataset.name, button);
  });
  root.addEventListener('input', event => {
    const field = event.target.dataset.in;
    if (field) editing = {...editing, [field]: event.target.value, said: ''};
    else if (event.target === search) look();
  });
  root.addEventListener('keydown', event => {
    if (!event.target.dataset.in) return;
    if (event.key === 'Escape') close();
    else if (event.key === 'Enter' && (event.target.tagName !== 'TEXTAREA' || event.ctrlKey || event.metaKey)) { event.stopPropagation(); event.preventDefault(); save(); }
  });
  file.addEventListener('change', () => { add(file.files[0]); file.value = ''; });
  root.addEventListener('dragover', event => { if (event.dataTransfer?.types.includes('Files')) event.preventDefault(); });
  root.addEventListener('drop', event => {
    if (!event.dataTransfer?.files.length) return;
    event.preventDefault();
    add(event.dataTransfer.files[0]);
  });
  watch('value', draw);
  draw();
};
})();
