/* A form: lays out `props.sections` once, shows `props.value` (setting's name -> value) and writes it back whole.
   A value from the server may name some fields only: the others stay as they are here. Labels, choices and names of
   files are set as texts and properties, never as markup. What is right is the server's to say: `server.ask` after
   every edit, `server.take` for an upload. Kinds of controls stand in `kinds.js`. */
(() => {
const {KINDS, described, make, same} = window.fieldKinds;
/* Characters of a hint that fit below a field which shares its row with one other, and with two. */
const LONG = 60, BRIEF = 24;

window.fieldsControl = ({element, props, server, watch, trigger, upload, events}) => {
  const root = element.querySelector('.sw-fields'), key = `sw-open-${props.ident}`, placed = new Map();
  let state = {}, offers = {}, library = {}, names = {}, problems = [], late = 0, timer = 0, asked = 0, written = {};

  /* -- the value --------------------------------------------------------------------------------------------------- */
  const form = {
    choices: field => [...(offers[field.name] ?? field.choices ?? []), ...(field.upload ? before(field) : [])],
    now: field => state[field.name] ?? [],
    set: (field, value, wait = 0) => {
      state = {...state, [field.name]: value};
      clearTimeout(late);
      late = setTimeout(flush, wait);
      if (!wait) flush();
      showOne(field);
      ask();
    },
    /* An upload is shown by its own name; its value is its source, and `::COLUMN` may be typed behind either. */
    name: (field, value) => {
      const [source, column] = split(value);
      const name = Object.keys(names).find(each => names[each] === source);
      return name === undefined ? value : name + column;
    },
    value: (field, text) => {
      const [name, column] = split(text);
      return Object.hasOwn(names, name) ? names[name] + column : text;
    },
    again: async field => {
      if (field.upload) form.seen(field, await asking(() => server.take({field: field.name, source: String(state[field.name] ?? '')})));
    },
    seen: (field, found) => {
      const place = placed.get(field.name).seen;
      if (!place) return;
      const {said, preview} = found || {};
      const note = text => make('p', {className: 'sw-note', textContent: text});
      const side = ({head, texts}) => make('div', {}, make('b', {textContent: head}), make('ul', {}, ...texts.map(text => make('li', {textContent: text}))));
      const wrong = said ? [make('p', {className: 'sw-wrong', textContent: said})] : [];
      if (preview) place.replaceChildren(...wrong, note(preview.said), make('div', {className: 'sw-sides'}, ...preview.sides.map(side)), ...preview.notes.map(note));
      else place.replaceChildren(...wrong);
    },
  };
  /* What was uploaded before stands in a group of its own below the other choices. */
  const before = field => (library[field.upload_kind] ?? []).map(([shown, source]) => [shown, source, 'Uploaded before']);
  const known = () => {
    for (const [, source, name] of Object.values(library).flat().reverse()) names = {...names, [name]: source};
  };
  const split = text => {
    const value = String(text ?? ''), at = value.indexOf('::');
    return at < 0 ? [value, ''] : [value.slice(0, at), value.slice(at)];
  };
  const asking = async call => {
    try { return await call(); }
    catch { return {said: 'The server could not be reached.'}; }
  };
  /* While one types, the value follows a little later: every value costs the page events. */
  const flush = () => {
    if (!late) return;
    clearTimeout(late);
    late = 0;
    write();
  };
  const write = () => {
    const before = written;
    // What the server said of some fields alone is not the value, though it be nothing new.
    if (same(state, before) && same(state, props.value)) return;
    props.value = written = {...state};
    for (const [event, listened] of Object.entries(events)) {
      if (listened.some(name => !same(before[name], state[name]))) trigger(event);
    }
  };
  const ask = () => {
    if (!props.asking) return;
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const turn = ++asked;
      try {
        const found = await server.ask(state);
        if (turn === asked && Array.isArray(found)) { problems = found; mark(); }
      } catch { /* the server is away: what is wrong will be said at Run */ }
    }, 250);
  };

  /* -- what is shown ----------------------------------------------------------------------------------------------- */
  const showOne = field => {
    const one = placed.get(field.name);
    one.show(state[field.name]);
    count();
  };
  const mark = () => {
    const said = new Map(problems.map(each => [String(each.field), String(each.said)]));
    for (const [name, one] of placed) {
      const text = said.get(name) ?? '';
      if (one.wrong.textContent !== text) one.wrong.textContent = text;
      one.wrong.hidden = !text;
      for (const control of one.controls) {
        if (text) control.setAttribute('aria-invalid', 'true');
        else control.removeAttribute('aria-invalid');
        described(control, one.hint, one.wrong);
      }
      if (text) for (let at = one.node.parentElement; at; at = at.parentElement) if (at.tagName === 'DETAILS') at.open = true;
    }
  };
  /* A folded section says how much of it was changed. */
  const count = () => {
    for (const {summary, title, fields} of folds) {
      const changed = fields.filter(field => !same(state[field.name], field.default ?? null)).length;
      summary.textContent = changed ? `${title} · ${changed} changed` : title;
    }
  };

  /* -- layout, once ------------------------------------------------------------------------------------------------ */
  const fieldNode = field => {
    const one = KINDS[field.kind](field, form);
    const unit = field.unit ? make('i', {textContent: field.unit}) : null;
    const words = make('span', {className: 'sw-label'}, field.label, unit ? ' ' : null, unit);
    const hint = field.hint ? make('p', {className: 'sw-hint', id: `${field.id}-hint`, textContent: field.hint}) : null;
    const wrong = make('p', {className: 'sw-wrong', id: `${field.id}-wrong`, hidden: true});
    wrong.setAttribute('role', 'alert');
    let inside;
    if (one.group) inside = [make('fieldset', {}, make('legend', {}, words), ...one.inside)];
    else if (one.tick) inside = [make('label', {className: 'sw-tick'}, one.label, words)];
    else inside = [make('label', {htmlFor: one.label.id}, words), ...one.inside];
    const seen = field.upload ? make('div', {className: 'sw-seen', id: `${field.id}-preview`}) : null;
    seen?.setAttribute('aria-live', 'polite');
    const parts = [...inside, hint, ...(field.upload ? uploading(field) : []), wrong, seen];
    const node = make('div', {className: `sw-field sw-kind-${field.kind}`, id: field.id}, ...parts.filter(each => each));
    placed.set(field.name, {...one, node, hint, wrong, seen, field});
    one.controls.forEach(control => described(control, hint));
    return node;
  };
  const uploading = field => {
    const file = make('input', {type: 'file', accept: props.accept, hidden: true, id: `${field.id}-file`});
    const button = make('button', {type: 'button', className: 'sw-do', id: `${field.id}-upload`, textContent: field.upload});
    button.addEventListener('click', () => file.click());
    file.addEventListener('change', async () => {
      const [chosen] = file.files;
      file.value = '';  // the same file chosen again is news, too
      if (!chosen) return;
      button.textContent = `Uploading ${chosen.name.slice(0, 60)} …`;
      const found = await asking(async () => server.take({field: field.name, path: (await upload(chosen)).path}));
      button.textContent = field.upload;
      if (found.value) {
        const {upload_kind: kind} = field, {kept} = found;
        if (kept) library = {...library, [kind]: [kept, ...(library[kind] ?? []).filter(([, source]) => source !== kept[1])]};
        names = {...names, [found.name]: found.value};
        form.set(field, found.value);
      }
      form.seen(field, found);
    });
    return [file, button];
  };
  const folds = [];
  const opened = () => {
    try { return JSON.parse(localStorage.getItem(key)) ?? []; } catch { return []; }
  };
  const fieldsOf = part => part.parts ? part.parts.flatMap(fieldsOf) : [part];
  const grid = parts => {
    const nodes = parts.map(part => part.parts ? partNode(part, false) : fieldNode(part));
    const said = part => (part.hint ?? '').length;
    const narrow = part => !part.parts && (part.kind === 'number' || part.half) && said(part) <= LONG;
    for (let n = 0; n < parts.length;) {
      let end = n;
      while (end < parts.length && narrow(parts[end])) end++;
      const run = end - n, brief = parts.slice(n, end).every(part => said(part) <= BRIEF);
      const columns = brief && (run % 3 === 0 || run > 4) ? 3 : Math.min(run, 2);
      // One alone takes half a row, unless its hint would stand in a narrow column beside nothing.
      for (let each = n; each < end && (run > 1 || brief); each++) nodes[each].classList.add(`sw-of-${run === 1 ? 2 : columns}`);
      n = Math.max(end, n + 1);
    }
    return make('div', {className: 'sw-field-grid'}, ...nodes);
  };
  const actNode = ([words, name]) => {
    const button = make('button', {type: 'button', className: 'sw-act', id: `${props.ident}-${name}`, textContent: words});
    button.addEventListener('click', () => { flush(); trigger(name); });
    return button;
  };
  const partNode = (part, top) => {
    const note = part.note ? make('p', {className: 'sw-note', textContent: part.note}) : null;
    const act = part.act ? actNode(part.act) : null;
    if (part.closed) {
      const summary = make('summary', {textContent: part.title}), name = `${props.ident}/${part.title}/${folds.length}`;
      const node = make('details', {className: 'sw-fold-in', open: opened().includes(name)}, summary, note, grid(part.parts), act);
      folds.push({summary, title: part.title, fields: fieldsOf(part)});
      node.addEventListener('toggle', () => {
        const others = opened().filter(each => each !== name);
        localStorage.setItem(key, JSON.stringify(node.open ? [...others, name] : others));
      });
      return node;
    }
    const title = part.title ? make('h2', {className: 'sw-h', textContent: part.title, id: `${props.ident}-part-${root.childElementCount}`}) : null;
    const node = make('section', {className: top && part.title ? 'sw-card' : 'sw-part'}, title, note, grid(part.parts), act);
    if (title) node.setAttribute('aria-labelledby', title.id);
    return node;
  };
  for (const part of props.sections) root.append(partNode(part, true));
  for (const end of ['change', 'focusout']) root.addEventListener(end, flush);

  /* -- what comes from the server ---------------------------------------------------------------------------------- */
  const take = () => {
    if (!late) state = {...state};
    state = {...state, ...(props.value ?? {})};
    for (const {field} of placed.values()) if (!(field.name in state)) state[field.name] = field.default ?? null;
    show();
    if (placed.size) { write(); ask(); }
  };
  const show = () => {
    for (const {field, show} of placed.values()) show(state[field.name]);
    count();
    mark();
  };
  watch('value', take);
  watch('offers', () => {
    offers = {...offers, ...(props.offers ?? {})};
    show();
  });
  watch('library', () => {
    library = {...library, ...(props.library ?? {})};
    known();
    show();
  });
  offers = {...(props.offers ?? {})};
  library = {...(props.library ?? {})};
  known();
  written = props.value ?? {};
  take();
};
})();
