/* The recipe editor: shows `props.value`, a recipe as plain data, and writes it back whole at every edit.
   Names and texts are set as text or as properties, never as markup, and nothing that comes with a value is evaluated.
   What is right is the server's to say: `server.check` after every edit, `server.read` for what is pasted. */
(() => {
const LIST = 'list', GONE = ' – not on the shelf', DEFAULTS = {threshold: 0.5, unit: 'mean_difference', side: 'above', per: 'prompt'};

/* A name from a file inside a sentence: cut where it is long, and kept from turning the sentence round. */
const TURNS = /[\u0590-\u08ff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufdff\ufe70-\ufefc]/;
const shown = name => {
  const text = name.length > 60 ? name.slice(0, 59) + '…' : name;
  return TURNS.test(text) ? `\u2068${text}\u2069` : text;
};
const number = control => control.value === '' || !Number.isFinite(+control.value) ? null : +control.value;
const short = value => Number(value.toPrecision(3));
const entries = words => Object.entries(words);
const copy = data => JSON.parse(JSON.stringify(data));

/* "3-6, 9" as numbers; what cannot be read stays a text, and the server says so. */
const numbers = text => {
  const parts = text.split(',').map(part => part.trim()).filter(Boolean), found = [];
  for (const part of parts) {
    const match = /^(\d{1,6})(?:\s*-\s*(\d{1,6}))?$/.exec(part);
    if (!match) return text;
    const low = +match[1], high = +(match[2] ?? match[1]);
    if (high - low > 99999 || found.length > 99999) return text;
    for (let each = low; each <= high; each++) found.push(each);
  }
  return [...new Set(found)];
};
const compact = list => {
  if (!Array.isArray(list)) return String(list ?? '');
  const runs = [];
  for (const each of [...new Set(list)].sort((a, b) => a - b)) {
    if (runs.length && each === runs.at(-1)[1] + 1) runs.at(-1)[1] = each;
    else runs.push([each, each]);
  }
  return runs.map(([low, high]) => low === high ? `${low}` : `${low}-${high}`).join(', ');
};

/* Puts a value into a control, unless it says that already: what is being typed stays as it is typed. */
const put = (control, value) => {
  const text = value === null || value === undefined ? '' : String(value);
  const typed = document.activeElement === control && control.type === 'number' && number(control) === (value ?? null);
  if (!typed && control.value !== text) control.value = text;
};
const fill = (select, options, value) => {
  value = value ?? '';
  const all = options.some(([each]) => each === value) ? options : [...options, [value, value === '' ? '–' : shown(String(value)) + GONE]];
  const key = JSON.stringify(all);
  if (select.dataset.key !== key) {
    select.replaceChildren(...all.map(([each, label]) => Object.assign(document.createElement('option'), {value: each, textContent: label})));
    select.dataset.key = key;
  }
  if (select.value !== value) select.value = value;
};

window.recipeEditor = (element, props, server, watch) => {
  const root = element.querySelector('.sw-recipe'), words = props.words, flags = props.flags, hue = props.hue;
  const part = (name, from = root) => from.querySelector(`[data-part="${name}"]`);
  const control = (slot, name) => slot.querySelector(`[data-in="${name}"]`);
  const model = root.querySelector('template').content.firstElementChild, json = part('json').querySelector('textarea');
  const slots = [], past = [];
  let recipe = null, problems = [], asked = 0, timer = 0, late = 0;

  const vectorOf = each => props.vectors.find(vector => vector.name === each.vector);
  const offered = () => props.vectors.map(vector => [vector.name, shown(vector.name) + (vector.auroc ? ` · AUROC ${vector.auroc}` : '')]);
  const blockOf = (each, vector) => Array.isArray(each.blocks) && each.blocks.length ? each.blocks[0] : vector.block;
  const length = (unit, vector, block) => unit === 'raw' ? 1 : vector.lengths[unit]?.[block];
  const fresh = vector => ({vector: vector.name, others: [], mode: 'add', blocks: 'default', site: null, strength: vector.suggested,
    unit: 'mean_difference', clamp: 'set', scope: 'all', gate: null});

  /* -- the value ------------------------------------------------------------------------------------------------- */
  /* While one types or drags a slider, the value follows a little later: every value costs the page events. */
  const commit = (next, wait = 0) => {
    if (!late && recipe) past.push(recipe);  // one for a burst of keys
    if (past.length > 50) past.shift();
    settle(next, wait);
  };
  const settle = (next, wait) => {
    clearTimeout(late);
    recipe = next;
    late = setTimeout(flush, wait);
    if (!wait) flush();
    show();
    ask();
  };
  const flush = () => {
    if (!late) return;
    clearTimeout(late);
    late = 0;
    props.value = recipe;
  };
  const edit = (change, wait) => { const next = copy(recipe); change(next); commit(next, wait); };
  const ask = () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const turn = ++asked;
      try {
        const found = recipe ? await server.check(recipe) : [];
        if (turn === asked && Array.isArray(found)) { problems = found; mark(); }
      } catch { /* the server is away: what is wrong will be said at Run */ }
    }, 250);
  };

  const first = (each, vector) => words.own[each.mode]?.first ?? vector?.suggested ?? 1;
  const changes = {
    vector: (each, value) => {
      const vector = props.vectors.find(vector => vector.name === value);
      if (vector) Object.assign(each, fresh(vector), {scope: each.scope, gate: each.gate});
    },
    mode: (each, value) => {
      each.mode = value;
      Object.assign(each, {unit: 'mean_difference', strength: first(each, vectorOf(each)), others: value === 'ablate' ? each.others : []});
    },
    unit: (each, value) => {
      const vector = vectorOf(each), was = each.unit;
      each.unit = value;
      if (value === 'nats' || was === 'nats') each.strength = value === 'nats' ? words.nats.first : first(each, vector);
      else if (vector && each.strength !== null) {
        const block = blockOf(each, vector), factor = length(was, vector, block) / length(value, vector, block);
        if (Number.isFinite(factor)) each.strength = short(each.strength * factor);
      }
    },
    blocks: (each, value) => { each.blocks = value === LIST ? [vectorOf(each)?.block ?? 0] : value; },
    numbers: (each, value) => { each.blocks = numbers(value); },
    scope: (each, value) => { each.scope = value === LIST ? [] : value; },
    tokens: (each, value) => { each.scope = numbers(value); },
    slider: (each, value, field) => { each.strength = number(field); },
    strength: (each, value, field) => { each.strength = number(field); },
    others: (each, value, field) => {
      each.others = field.checked ? [...each.others, value] : each.others.filter(name => name !== value);
    },
    clamp: (each, value) => { each.clamp = value; },
    site: (each, value) => { each.site = value || null; },
  };
  const gated = (each, name, field) => {
    if (name === 'vector') each.gate = field.value ? {...DEFAULTS, block: null, site: null, ...each.gate, vector: field.value} : null;
    else if (each.gate) each.gate[name] = field.type === 'number' ? number(field) : field.value || null;
  };

  /* -- what is shown --------------------------------------------------------------------------------------------- */
  const show = () => {
    root.hidden = !recipe;
    root.style.setProperty('--hue', hue ? `var(--${hue})` : 'var(--a)');
    part('title').textContent = props.title;
    part('title').className = hue ? `sw-h sw-${hue}` : 'sw-h';
    root.setAttribute('aria-label', props.title);
    if (!recipe) return;
    const all = Array.isArray(recipe.interventions) ? recipe.interventions : [];
    while (slots.length < all.length) slots.push(placed());
    while (slots.length > all.length) slots.pop().remove();
    all.forEach((each, n) => showOne(slots[n], each, n, all.length));
    part('none').hidden = props.vectors.length > 0 || all.length > 0;
    root.querySelector('[data-do="add"]').hidden = props.vectors.length === 0;
    const drop = root.querySelector('[data-do="drop"]');
    drop.hidden = !flags.removable;
    root.querySelector('[data-do="undo"]').hidden = !past.length;
    drop.textContent = `Remove ${props.title}`;
    showRest();
    mark();
  };
  const showRest = () => {
    const decode = recipe.decode ?? {}, chat = recipe.chat;
    part('decode').hidden = !flags.decoding;
    root.querySelectorAll('[data-decode]').forEach(field => put(field, decode[field.dataset.decode]));
    part('chat').hidden = !chat;
    part('chat-said').textContent = chat ? `Under its own chat settings: ${JSON.stringify(chat)}` : '';
    part('model').hidden = !recipe.model;
    part('model').textContent = recipe.model ? `Made for ${shown(String(recipe.model))}.` : '';
    if (document.activeElement !== json) json.value = JSON.stringify(own(), null, 2);
  };
  /* The recipe as it counts here: how tokens are chosen is left out where another recipe says so. */
  const own = () => {
    const {decode, ...rest} = recipe;
    return flags.decoding ? recipe : rest;
  };

  const showOne = (slot, each, n, count) => {
    const vector = vectorOf(each), name = shown(String(each.vector ?? '')), list = Array.isArray(each.scope) || !(each.scope in words.scopes);
    slot.setAttribute('aria-label', `Intervention ${n + 1} of ${count}: ${name}`);
    part('name', slot).textContent = count > 1 ? `${n + 1}` : '';
    slot.classList.toggle('sw-alone', count === 1);
    const label = (what, text) => slot.querySelector(`[data-do="${what}"]`).setAttribute('aria-label', text);
    label('grip', `Move intervention ${n + 1} of ${count}: drag, or press the arrow keys`);
    label('double', `Duplicate intervention ${n + 1}`);
    label('remove', `Remove intervention ${n + 1}`);
    fill(control(slot, 'vector'), offered(), each.vector);
    fill(control(slot, 'mode'), entries(words.modes), each.mode);
    showBlocks(slot, each, vector);
    showOthers(slot, each);
    showStrength(slot, each, vector);
    slot.querySelector('[data-field="clamp"]').hidden = each.mode !== 'clamp';
    fill(control(slot, 'clamp'), entries(words.clamps), each.clamp ?? 'set');
    const scopes = [...entries(words.scopes), ...(flags.picking || list ? [[LIST, 'the picked prompt tokens']] : [])];
    fill(control(slot, 'scope'), scopes, list ? LIST : each.scope);
    control(slot, 'tokens').hidden = !list;
    if (list) putTyped(control(slot, 'tokens'), each.scope);
    showMore(slot, each);
  };
  const putTyped = (field, value) => {
    const typed = document.activeElement === field && JSON.stringify(numbers(field.value)) === JSON.stringify(value);
    if (!typed) put(field, compact(value));
  };
  const showBlocks = (slot, each, vector) => {
    const named = typeof each.blocks !== 'string' || !['default', 'all', 'everywhere'].includes(each.blocks);
    fill(control(slot, 'blocks'), [['default', vector ? `default (${vector.block})` : 'default'], ['all', 'all, each its own'],
      ['everywhere', 'everywhere'], [LIST, 'these …']], named ? LIST : each.blocks);
    control(slot, 'numbers').hidden = !named;
    if (named) putTyped(control(slot, 'numbers'), each.blocks);
  };
  const showOthers = (slot, each) => {
    const field = slot.querySelector('[data-field="others"]'), ticks = field.querySelector('.sw-ticks');
    field.hidden = each.mode !== 'ablate';
    if (field.hidden) return;
    const chosen = each.others ?? [], known = props.vectors.map(vector => vector.name);
    const names = [...known, ...chosen.filter(name => !known.includes(name))].filter(name => name !== each.vector);
    const key = JSON.stringify(names);
    if (ticks.dataset.key !== key) {
      ticks.replaceChildren(...names.map(name => {
        const label = document.createElement('label'), box = Object.assign(document.createElement('input'), {type: 'checkbox', value: name});
        box.dataset.in = 'others';
        label.append(box, shown(name) + (known.includes(name) ? '' : GONE));
        return label;
      }));
      ticks.dataset.key = key;
    }
    ticks.querySelectorAll('input').forEach(box => { box.checked = chosen.includes(box.value); });
  };
  const showStrength = (slot, each, vector) => {
    const mode = words.own[each.mode], nats = each.unit === 'nats' && each.mode !== 'erase', range = rangeOf(each, vector);
    slot.querySelector('[data-field="strength"]').hidden = each.mode === 'erase';
    part('strength-label', slot).textContent = nats || !mode ? 'Strength' : mode.label;
    const field = control(slot, 'strength'), slider = control(slot, 'slider');
    field.step = slider.step = range.step;
    slider.min = range.min;
    slider.max = range.max;
    put(field, each.strength);
    put(slider, each.strength ?? 0);
    const units = mode ? [['mean_difference', mode.unit], ['nats', words.units.nats]] : entries(words.units);
    fill(control(slot, 'unit'), units, each.unit);
    const unit = units.find(([unit]) => unit === each.unit)?.[1] ?? '';
    slider.setAttribute('aria-label', `${part('strength-label', slot).textContent}, as a slider`);
    slider.setAttribute('aria-valuetext', `${each.strength ?? 'empty'} ${unit}`);
    part('told', slot).textContent = told(each, vector, nats);
  };
  const rangeOf = (each, vector) => {
    if (each.unit === 'nats' && each.mode !== 'erase') return words.nats;
    if (words.own[each.mode]) return words.own[each.mode];
    const end = Math.max(vector?.ends[each.unit]?.[blockOf(each, vector)] ?? 4, Math.abs(each.strength ?? 0));
    return {min: -end, max: end, step: short(end / 200)};
  };
  const told = (each, vector, nats) => {
    if (nats || words.own[each.mode]) return words.said[nats ? 'nats' : each.mode];
    if (!vector || each.strength === null) return '';
    const block = blockOf(each, vector), raw = each.strength * length(each.unit, vector, block);
    const same = entries(words.lengths).filter(([unit]) => unit !== each.unit && length(unit, vector, block))
      .map(([unit, label]) => `${short(raw / length(unit, vector, block))} ${label}`);
    if (!Number.isFinite(raw)) return '';
    const far = ['all', 'everywhere'].includes(each.blocks) ? '; at the others by their own scale' : '';
    const zero = ['affine', 'clamp'].includes(each.mode) ? '; counted from the negative side’s mean' : '';
    return `= ${same.join(' = ')}, at block ${block}${far}${zero}`;
  };
  const showMore = (slot, each) => {
    const gate = each.gate, sites = entries(words.sites);
    fill(control(slot, 'site'), [['', 'where the vector was read'], ...sites], each.site);
    fill(control(slot, 'gate.vector'), [['', '– (always)'], ...offered()], gate?.vector);
    part('gate', slot).hidden = !gate;
    if (gate) {
      fill(control(slot, 'gate.side'), entries(words.sides), gate.side);
      fill(control(slot, 'gate.unit'), entries(words.lengths), gate.unit);
      fill(control(slot, 'gate.per'), entries(words.pers), gate.per);
      fill(control(slot, 'gate.site'), [['', 'its own'], ...sites], gate.site);
      put(control(slot, 'gate.threshold'), gate.threshold);
      put(control(slot, 'gate.block'), gate.block);
    }
    const where = each.site ? `: ${words.sites[each.site] ?? each.site}` : '';
    const when = gate ? `: only where ${shown(String(gate.vector))} ${words.sides[gate.side] ?? gate.side} ${gate.threshold ?? '…'}` : '';
    part('more-said', slot).textContent = `Site${where} and condition${when}`;
  };

  /* -- what is wrong, at its field ------------------------------------------------------------------------------- */
  const mark = () => {
    const fields = [...root.querySelectorAll('[data-field]')], said = new Map();
    for (const problem of problems) {
      const path = String(problem.field).split('.');
      const slot = path[0] === 'interventions' ? slots[+path[1]] : null;
      const name = path[0] === 'interventions' ? path[2] : path[0];
      const at = name ? (slot ?? root).querySelector(`[data-field="${CSS.escape(name)}"]`) : null;
      const place = at?.querySelector('.sw-wrong') ? at : at?.parentElement.closest('[data-field]') ?? part('said');
      said.set(place, [...(said.get(place) ?? []), { text: String(problem.said), decode: name === 'decode' ? path[1] : undefined }]);
    }
    for (const field of [...fields, part('said')]) {
      const found = said.get(field) ?? [];
      tell(field, found.map(each => each.text).join(' '), found.map(each => each.decode).filter(Boolean));
    }
  };
  /* Of several controls in one field, only those that are wrong are marked, where it is said which. */
  const tell = (field, text, only) => {
    const line = field.matches('.sw-wrong') ? field : field.querySelector('.sw-wrong');
    if (!line) return;
    if (line.textContent !== text) line.textContent = text;
    line.hidden = !text;
    line.id ||= `recipe-said-${Math.random().toString(36).slice(2)}`;
    line.setAttribute('role', 'alert');
    for (const control of field.querySelectorAll('select, input, textarea')) {
      if (control.closest('[data-field]') !== field) continue;
      for (const [name, value] of [['aria-invalid', 'true'], ['aria-describedby', line.id]]) {
        if (text && (!only.length || only.includes(control.dataset.decode))) control.setAttribute(name, value);
        else control.removeAttribute(name);
      }
    }
    if (text) field.closest('details')?.setAttribute('open', '');
  };

  /* -- order, copies --------------------------------------------------------------------------------------------- */
  const move = (from, to) => {
    if (to < 0 || to >= slots.length || from === to) return from;
    edit(next => next.interventions.splice(to, 0, ...next.interventions.splice(from, 1)));
    part('moved').textContent = `${shown(String(recipe.interventions[to].vector))} is now ${to + 1} of ${slots.length}.`;
    return to;
  };
  const grip = (slot, button) => {
    button.addEventListener('keydown', event => {
      const step = {ArrowUp: -1, ArrowDown: 1}[event.key];
      if (!step) return;
      event.preventDefault();
      slots[move(slots.indexOf(slot), slots.indexOf(slot) + step)].querySelector('[data-do="grip"]').focus();
    });
    button.addEventListener('pointerdown', event => {
      let at = slots.indexOf(slot);
      const over = moved => {
        const to = slots.findIndex(each => { const box = each.getBoundingClientRect(); return moved.clientY >= box.top && moved.clientY < box.bottom; });
        if (to >= 0) at = move(at, to);
        slots.forEach((each, n) => each.classList.toggle('sw-held', n === at));
      };
      const end = () => {
        slots.forEach(each => each.classList.remove('sw-held'));
        for (const [name, call] of [['pointermove', over], ['pointerup', end], ['pointercancel', end]]) window.removeEventListener(name, call);
      };
      event.preventDefault();
      button.focus();
      window.addEventListener('pointermove', over);
      window.addEventListener('pointerup', end);
      window.addEventListener('pointercancel', end);
    });
  };
  const placed = () => {
    const slot = model.cloneNode(true), n = slots.length + 1;
    slot.querySelectorAll('[data-in]').forEach(field => { field.id = `${field.dataset.in.replace('.', '-')}-${props.ident}${n}`; });
    grip(slot, slot.querySelector('[data-do="grip"]'));
    part('slots').append(slot);
    return slot;
  };
  const focusOn = n => (slots[n] ? control(slots[n], 'vector') : root.querySelector('[data-do="add"]')).focus();
  const acts = {
    add: () => {
      const last = recipe.interventions.at(-1), vector = (last && vectorOf(last)) ?? props.vectors[0];
      edit(next => next.interventions.push(fresh(vector)));
      focusOn(slots.length - 1);
    },
    double: n => { edit(next => next.interventions.splice(n + 1, 0, copy(next.interventions[n]))); focusOn(n + 1); },
    remove: n => { edit(next => next.interventions.splice(n, 1)); focusOn(Math.min(n, slots.length - 1)); },
    drop: () => commit(null),
    undo: () => {
      flush();
      if (past.length) settle(past.pop(), 0);
      if (!past.length) focusOn(0);  // the button is gone
      part('moved').textContent = 'The last change is undone.';
    },
    'forget-chat': () => edit(next => { delete next.chat; }),
    copy: async () => {
      try { await navigator.clipboard.writeText(json.value); }
      catch { json.select(); document.execCommand('copy'); }  // a page that is not served over https has no clipboard
      part('json-said').textContent = 'Copied.';
    },
    take: async () => {
      let found;
      part('json-said').textContent = '';
      try { found = await server.read(json.value); }
      catch { found = {said: 'The server could not be reached.'}; }
      if (!found.recipe) { part('json-said').textContent = found.said; return; }
      const taken = flags.decoding ? found.recipe : {...found.recipe, decode: recipe.decode};
      commit(taken);
      json.value = JSON.stringify(own(), null, 2);
      const other = JSON.stringify(taken.decode) === JSON.stringify(found.recipe.decode) ? '' : ' Length, temperature and seed are not set here and stay as they are.';
      part('json-said').textContent = `Taken, with ${taken.interventions.length} intervention${taken.interventions.length === 1 ? '' : 's'}.${other}`;
    },
  };

  /* -- events ---------------------------------------------------------------------------------------------------- */
  root.addEventListener('click', event => {
    const button = event.target.closest('[data-do]'), act = button && acts[button.dataset.do];
    if (act) act(slots.findIndex(slot => slot.contains(button)));
  });
  root.addEventListener('input', event => {
    const field = event.target, name = field.dataset.in, n = slots.findIndex(slot => slot.contains(field));
    const wait = ['number', 'text', 'range'].includes(field.type) ? 150 : 0;
    if (field.dataset.decode) edit(next => { next.decode = {...next.decode, [field.dataset.decode]: number(field)}; }, wait);
    else if (name?.startsWith('gate.')) edit(next => gated(next.interventions[n], name.slice(5), field), wait);
    else if (name) edit(next => changes[name](next.interventions[n], field.value, field), wait);
  });
  for (const end of ['change', 'focusout']) root.addEventListener(end, flush);
  json.addEventListener('keydown', event => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) acts.take();
  });
  const take = () => {
    clearTimeout(late);
    late = 0;
    if (JSON.stringify(recipe) !== JSON.stringify(props.value)) past.length = 0;  // another one: no change of this one
    recipe = props.value ? copy(props.value) : null;
    show();
    ask();
  };
  watch('value', take);
  watch('vectors', () => { show(); ask(); });
  take();
};
})();
