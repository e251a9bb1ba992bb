/* The recipe editor: shows `props.value`, a recipe as plain data, and writes it back whole at every edit. How one
   intervention is shown stands in `shown.js`.
   Names and texts are set as text or as properties, never as markup, and nothing that comes with a value is evaluated.
   What is right is the server's to say: `server.check` after every edit, `server.read` for what is pasted. */
(() => {
const {LIST, copy, number, numbers, put, short, shown, showing} = window.recipeShown;
const DEFAULTS = {threshold: 0.5, unit: 'mean_difference', side: 'above', per: 'prompt'};

window.recipeEditor = (element, props, server, watch) => {
  const root = element.querySelector('.sw-recipe'), words = props.words, flags = props.flags, hue = props.hue;
  const {part, control, vectorOf, blockOf, length, ofFeature, showOne} = showing(root, props);
  const model = root.querySelector('template').content.firstElementChild, json = part('json').querySelector('textarea');
  const gone = element.querySelector('.sw-recipe-gone'), undos = element.querySelectorAll('[data-do="undo"]');
  const slots = [];
  let recipe = null, past = [], problems = [], asked = 0, timer = 0, late = 0;

  const fresh = vector => ({vector: vector.name, others: [], mode: 'add', blocks: 'default', site: null, strength: vector.suggested,
    unit: 'mean_difference', clamp: 'set', scope: 'all', gate: null});

  /* -- the value ------------------------------------------------------------------------------------------------- */
  /* While one types or drags a slider, the value follows a little later: every value costs the page events. */
  const commit = (next, wait = 0) => {
    if (!late && recipe) past.push(recipe);  // one for a burst of keys
    if (past.length > 50) past.shift();
    undos.forEach(undo => { undo.dataset.since = Date.now(); });  // of several, `keys.js` takes the latest
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
      const stay = words.several.includes(value) && ofFeature(value) === ofFeature(each.mode);
      each.mode = value;
      Object.assign(each, {unit: 'mean_difference', strength: first(each, vectorOf(each)), others: stay ? each.others : []});
      if (ofFeature(value)) Object.assign(each, {blocks: 'default', site: null});  // its dictionary's own place
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
    part('about').textContent = props.about ?? '';
    part('title').className = hue ? `sw-h sw-${hue}` : 'sw-h';
    root.setAttribute('aria-label', props.title);
    gone.hidden = Boolean(recipe) || !past.length;
    gone.querySelector('button').textContent = `Undo: have ${props.title} back`;
    if (!recipe) return;
    const all = Array.isArray(recipe.interventions) ? recipe.interventions : [];
    while (slots.length < all.length) slots.push(placed());
    while (slots.length > all.length) slots.pop().remove();
    all.forEach((each, n) => showOne(slots[n], each, n, all.length));
    part('none').hidden = props.vectors.length > 0 || all.length > 0;
    root.querySelector('[data-do="add"]').hidden = props.vectors.length === 0;
    root.querySelector('[data-do="again"]').hidden = all.length !== 1;  // of several, each has a button of its own
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
  /* A vector that was renamed on the shelf is meant here by its next name, in what can be undone, too. */
  const renamed = given => {
    const names = props.renamed ?? {}, next = copy(given), now = name => Object.hasOwn(names, name) ? names[name] : name;
    for (const each of Array.isArray(next?.interventions) ? next.interventions : []) {
      each.vector = now(each.vector);
      if (Array.isArray(each.others)) each.others = each.others.map(now);
      if (each.gate) each.gate.vector = now(each.gate.vector);
    }
    return next;
  };
  const follow = () => {
    past = past.map(renamed);
    const next = recipe && renamed(recipe);
    if (JSON.stringify(next) === JSON.stringify(recipe)) { show(); ask(); return; }
    part('moved').textContent = 'A vector of this recipe was renamed on the shelf, and here.';
    settle(next, 0);
  };
  const acts = {
    add: () => {
      const last = recipe.interventions.at(-1), vector = (last && vectorOf(last)) ?? props.vectors[0];
      edit(next => next.interventions.push(fresh(vector)));
      focusOn(slots.length - 1);
    },
    double: n => { edit(next => next.interventions.splice(n + 1, 0, copy(next.interventions[n]))); focusOn(n + 1); },
    again: () => acts.double(0),
    remove: n => { edit(next => next.interventions.splice(n, 1)); focusOn(Math.min(n, slots.length - 1)); },
    drop: () => { commit(null); gone.querySelector('button').focus(); },
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
      part('json-said').textContent = found.recipe ? use(found.recipe) : found.said;
    },
  };
  /* The recipe as a file for another engine, which the server makes and compares with the model. */
  const exportFor = async to => {
    const said = part('engine-said'), buttons = root.querySelectorAll('[data-do^="to-"]');
    said.textContent = 'Writing and reading back …';
    buttons.forEach(button => { button.disabled = true; });
    let found;
    try { found = await server.export_for({to, recipe: own()}); }
    catch { found = {said: 'The server could not be reached.'}; }
    buttons.forEach(button => { button.disabled = false; });
    said.textContent = found.said ?? `Saved as ${found.name}.`;
    if (found.data) window.saveFile(found);
  };
  Object.assign(acts, {'to-vllm': () => exportFor('vllm'), 'to-gguf': () => exportFor('gguf')});
  /* Puts another recipe in place of this one, which can be undone; gives what to say of it. */
  const use = given => {
    const taken = renamed(flags.decoding ? given : {...given, decode: recipe.decode});
    commit(taken);
    json.value = JSON.stringify(own(), null, 2);
    const other = JSON.stringify(taken.decode) === JSON.stringify(given.decode) ? '' : ' Length, temperature and seed are not set here and stay as they are.';
    return `Taken, with ${taken.interventions.length} intervention${taken.interventions.length === 1 ? '' : 's'}.${other}`;
  };
  Object.assign(acts, window.savedRecipes(root, server, {use, given: () => recipe, vector: () => recipe.interventions[0]?.vector ?? ''}));

  /* -- events ---------------------------------------------------------------------------------------------------- */
  element.addEventListener('click', event => {
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
    const given = props.value || null;
    if (JSON.stringify(recipe) !== JSON.stringify(given)) past.length = 0;  // another one: no change of this one
    recipe = given && copy(given);
    follow();
  };
  watch('value', take);
  watch('vectors', follow);
  take();
};
})();
