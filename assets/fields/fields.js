/* A form: lays out `props.sections` once, shows `props.value` (setting's name -> value) and writes it back whole.
   A value from the server may name some fields only: the others stay as they are here. Labels, choices and names of
   files are set as texts and properties, never as markup. What is right is the server's to say: `server.ask` after
   every edit, `server.take` for an upload. */
(() => {
const OWN = '\u0000own', WAIT = 200, FEW = 4, SHORT = 34;
const make = (tag, properties = {}, ...inside) => {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...inside.filter(each => each !== null && each !== ''));
  return node;
};
const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);
const number = control => control.value === '' || !Number.isFinite(+control.value) ? null : +control.value;
/* Puts a text into a control, unless it says that already: what is being typed stays as it is typed. */
const put = (control, value) => {
  const text = value === null || value === undefined ? '' : String(value);
  const typed = document.activeElement === control && control.type === 'number' && number(control) === (value ?? null);
  if (!typed && control.value !== text) control.value = text;
};
const described = (control, ...nodes) => {
  const ids = nodes.filter(node => node && !node.hidden && node.textContent).map(node => node.id);
  if (ids.length) control.setAttribute('aria-describedby', ids.join(' '));
  else control.removeAttribute('aria-describedby');
};

/* -- one kind of control each: its nodes, how it shows a value, what it says ------------------------------------- */
const typed = (tag, type) => (field, form) => {
  const control = make(tag, {id: `${field.id}-in`, placeholder: field.placeholder ?? '', spellcheck: tag === 'textarea'});
  if (type) control.type = type;
  if (tag === 'textarea') control.rows = 2;
  for (const [ours, theirs] of [['low', 'min'], ['high', 'max']]) if (field[ours] !== undefined) control[theirs] = field[ours];
  if (type === 'number') control.step = field.step ?? (field.whole ? 1 : 'any');
  const read = () => type === 'number' ? number(control) : control.value;
  control.addEventListener('input', () => form.set(field, read(), WAIT));
  return {label: control, controls: [control], inside: [control], show: value => put(control, value)};
};
const ticked = (field, form) => {
  const control = make('input', {id: `${field.id}-in`, type: 'checkbox'});
  control.addEventListener('change', () => form.set(field, control.checked));
  return {label: control, tick: true, controls: [control], inside: [], show: value => { control.checked = value === true; }};
};
const few = field => field.choices?.length && field.choices.length <= FEW && !field.own && !field.changing &&
  field.choices.map(([shown]) => shown).join('').length <= SHORT;
const segments = (field, form) => {
  const buttons = field.choices.map(([shown, value]) => {
    const control = make('input', {type: 'radio', name: `${field.id}-in`, value});
    control.addEventListener('change', () => form.set(field, value));
    return [control, make('label', {}, control, make('span', {textContent: shown}))];
  });
  return {
    group: true, controls: buttons.map(([control]) => control), inside: [make('div', {className: 'sw-segments'}, ...buttons.map(([, label]) => label))],
    show: value => buttons.forEach(([control]) => { control.checked = control.value === value; }),
  };
};
/* A list, and below it a text of one's own, which stands alone where there is no list. */
const chosen = (field, form) => {
  const select = make('select', {id: `${field.id}-in`});
  const own = field.own ? make('input', {type: 'text', placeholder: field.placeholder ?? ''}) : null;
  let asked = false;
  select.addEventListener('change', () => {
    asked = select.value === OWN;
    form.set(field, asked ? '' : select.value);
    form.seen(field, '');
  });
  own?.addEventListener('input', () => form.set(field, form.value(field, own.value), WAIT));
  own?.addEventListener('change', () => form.again(field));
  const fill = options => {
    const key = JSON.stringify(options);
    if (select.dataset.key === key) return;
    select.replaceChildren(...options.map(([shown, value]) => make('option', {value, textContent: shown})));
    select.dataset.key = key;
  };
  const show = value => {
    const choices = form.choices(field), known = choices.some(([, each]) => each === value);
    if (known && value !== '') asked = false;
    const listed = choices.length > 0, typing = own && (!listed || !known || (asked && value === ''));
    const more = own ? [[field.another ?? 'another …', OWN]] : known ? [] : [[`${value} – not offered`, value]];
    fill([...choices, ...more]);
    select.hidden = !listed && own !== null;
    select.value = typing && listed ? OWN : value;
    if (!own) return;
    own.hidden = !typing;
    own.id = listed ? `${field.id}-own` : `${field.id}-in`;
    select.id = listed ? `${field.id}-in` : `${field.id}-list`;
    if (listed) own.setAttribute('aria-label', `${field.label}: another`);
    else own.removeAttribute('aria-label');
    put(own, form.name(field, value));
  };
  return {label: select, controls: own ? [select, own] : [select], inside: own ? [select, own] : [select], show};
};
const list = (field, form) => {
  const ticks = make('div', {className: 'sw-ticks'});
  const own = field.own ? make('input', {type: 'text', id: `${field.id}-own`, placeholder: field.placeholder ?? 'another; Enter adds it'}) : null;
  own?.setAttribute('aria-label', `${field.label}: add one`);
  const add = () => {
    const text = own.value.trim(), now = form.now(field);
    own.value = '';
    if (text && !now.includes(text)) form.set(field, [...now, text]);
  };
  own?.addEventListener('change', add);
  own?.addEventListener('keydown', event => { if (event.key === 'Enter') { event.preventDefault(); add(); } });
  const controls = own ? [own] : [];
  const show = value => {
    const given = Array.isArray(value) ? value : [], choices = form.choices(field);
    const all = [...choices, ...given.filter(each => !choices.some(([, one]) => one === each)).map(each => [each, each])];
    const key = JSON.stringify(all);
    if (ticks.dataset.key !== key) {
      const held = ticks.contains(document.activeElement) ? document.activeElement.value : null;
      ticks.replaceChildren(...all.map(([shown, one]) => {
        const box = make('input', {type: 'checkbox', value: one});
        box.addEventListener('change', () => {
          const now = form.now(field), order = all.map(([, each]) => each).filter(each => each === one ? box.checked : now.includes(each));
          form.set(field, order);
        });
        return make('label', {}, box, make('span', {textContent: shown}));
      }));
      ticks.dataset.key = key;
      controls.splice(0, controls.length, ...ticks.querySelectorAll('input'), ...(own ? [own] : []));
      [...ticks.querySelectorAll('input')].find(box => box.value === held)?.focus();
    }
    ticks.querySelectorAll('input').forEach(box => { box.checked = given.includes(box.value); });
    ticks.hidden = all.length === 0;
  };
  return {group: true, controls, inside: own ? [ticks, own] : [ticks], show};
};
const KINDS = {
  text: typed('input', 'text'), lines: typed('textarea'), number: typed('input', 'number'), switch: ticked,
  choice: (field, form) => few(field) ? segments(field, form) : chosen(field, form), several: list,
};

window.fieldsControl = ({element, props, server, watch, trigger, upload, events}) => {
  const root = element.querySelector('.sw-fields'), key = `sw-open-${props.ident}`, placed = new Map();
  let state = {}, offers = {}, names = {}, problems = [], late = 0, timer = 0, asked = 0, written = {};

  /* -- the value --------------------------------------------------------------------------------------------------- */
  const form = {
    choices: field => offers[field.name] ?? field.choices ?? [],
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
      if (preview) place.replaceChildren(note(preview.said), make('div', {className: 'sw-sides'}, ...preview.sides.map(side)), ...preview.notes.map(note));
      else place.replaceChildren(...(said ? [make('p', {className: 'sw-wrong', textContent: said})] : []));
    },
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
    if (same(state, written)) return;
    const before = written;
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
    const narrow = part => !part.parts && (part.kind === 'number' || part.half);
    for (let n = 0; n < parts.length;) {
      let end = n;
      while (end < parts.length && narrow(parts[end])) end++;
      const run = end - n, columns = run % 3 === 0 || run > 4 ? 3 : Math.min(run, 2);
      for (let each = n; each < end; each++) nodes[each].classList.add(`sw-of-${run === 1 ? 2 : columns}`);
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
  offers = {...(props.offers ?? {})};
  written = props.value ?? {};
  take();
};
})();
