/* What the recipe editor shows of one intervention, which changes nothing; and how values are read and put into controls.
   Names and texts are set as text or as properties, never as markup. */
(() => {
const LIST = 'list', GONE = ' – not on the shelf';

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

/* Of one editor: finds the parts of its markup and what its vectors say, and shows an intervention in its slot. */
const showing = (root, props) => {
  const words = props.words, flags = props.flags;
  const part = (name, from = root) => from.querySelector(`[data-part="${name}"]`);
  const control = (slot, name) => slot.querySelector(`[data-in="${name}"]`);
  const vectorOf = each => props.vectors.find(vector => vector.name === each.vector);
  const offered = () => props.vectors.map(vector => [vector.name, shown(vector.name) + (vector.auroc ? ` · AUROC ${vector.auroc}` : '')]);
  const blockOf = (each, vector) => Array.isArray(each.blocks) && each.blocks.length ? each.blocks[0] : vector.block;
  const length = (unit, vector, block) => unit === 'raw' ? 1 : vector.lengths[unit]?.[block];
  const ofFeature = mode => words.features.includes(mode);
  /* Units by a vector's own words: a length of 1 is a feature's typical maximum, or what a vector was trained to. */
  const inWords = (units, vector) => entries(units).map(([unit, label]) => [unit, unit === 'mean_difference' ? vector?.unit ?? label : label]);
  const modes = (each, vector) => entries(words.modes).filter(([mode]) => vector?.feature || !ofFeature(mode) || mode === each.mode);

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
    fill(control(slot, 'mode'), modes(each, vector), each.mode);
    showBlocks(slot, each, vector);
    showOthers(slot, each, vector);
    showStrength(slot, each, vector);
    slot.querySelector('[data-field="clamp"]').hidden = !words.clamped.includes(each.mode);
    part('clamp-label', slot).textContent = ofFeature(each.mode) ? 'The activation' : 'The projection';
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
    const own = [['default', vector ? `default (${vector.block})` : 'default']];
    const elsewhere = [['all', 'all, each its own'], ['everywhere', 'everywhere'], [LIST, 'these …']];
    const offered = ofFeature(each.mode) && each.blocks === 'default' ? own : [...own, ...elsewhere];
    fill(control(slot, 'blocks'), offered, named ? LIST : each.blocks);
    control(slot, 'numbers').hidden = !named;
    if (named) putTyped(control(slot, 'numbers'), each.blocks);
  };
  const showOthers = (slot, each, own) => {
    const field = slot.querySelector('[data-field="others"]'), ticks = field.querySelector('.sw-ticks');
    const chosen = each.others ?? [], known = props.vectors.map(vector => vector.name);
    const fits = props.vectors.filter(vector => !ofFeature(each.mode) || (vector.feature && vector.feature === own?.feature)).map(vector => vector.name);
    const names = [...fits, ...chosen.filter(name => !fits.includes(name))].filter(name => name !== each.vector);
    field.hidden = !words.several.includes(each.mode) || (ofFeature(each.mode) && !names.length);
    if (field.hidden) return;
    part('others-label', slot).textContent = ofFeature(each.mode) ? 'Together with (features of the same dictionary)' : 'Together with (their span is removed)';
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
  const graded = each => words.own[each.mode]?.label !== '';
  const showStrength = (slot, each, vector) => {
    const mode = words.own[each.mode], nats = each.unit === 'nats' && graded(each), range = rangeOf(each, vector);
    slot.querySelector('[data-field="strength"]').hidden = !graded(each);
    part('strength-label', slot).textContent = nats || !mode ? 'Strength' : mode.label;
    const field = control(slot, 'strength'), slider = control(slot, 'slider');
    field.step = slider.step = range.step;
    slider.min = range.min;
    slider.max = range.max;
    put(field, each.strength);
    put(slider, each.strength ?? 0);
    const units = mode ? [['mean_difference', mode.unit], ...(mode.nats ? [['nats', words.units.nats]] : [])] : inWords(words.units, vector);
    fill(control(slot, 'unit'), units, each.unit);
    const unit = units.find(([unit]) => unit === each.unit)?.[1] ?? '';
    slider.setAttribute('aria-label', `${part('strength-label', slot).textContent}, as a slider`);
    slider.setAttribute('aria-valuetext', `${each.strength ?? 'empty'} ${unit}`);
    part('told', slot).textContent = told(each, vector, nats);
  };
  const rangeOf = (each, vector) => {
    if (each.unit === 'nats' && graded(each)) return words.nats;
    if (words.own[each.mode]) return words.own[each.mode];
    const end = Math.max(vector?.ends[each.unit]?.[blockOf(each, vector)] ?? 4, Math.abs(each.strength ?? 0));
    return {min: -end, max: end, step: short(end / 200)};
  };
  const told = (each, vector, nats) => {
    if (nats || words.own[each.mode]) return words.said[nats ? 'nats' : each.mode] ?? '';
    if (!vector || each.strength === null) return '';
    const block = blockOf(each, vector), raw = each.strength * length(each.unit, vector, block);
    const same = inWords(words.lengths, vector).filter(([unit]) => unit !== each.unit && length(unit, vector, block))
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
      fill(control(slot, 'gate.unit'), inWords(words.lengths, vectorOf(gate)), gate.unit);
      fill(control(slot, 'gate.per'), entries(words.pers), gate.per);
      fill(control(slot, 'gate.site'), [['', 'its own'], ...sites], gate.site);
      put(control(slot, 'gate.threshold'), gate.threshold);
      put(control(slot, 'gate.block'), gate.block);
    }
    const where = each.site ? `: ${words.sites[each.site] ?? each.site}` : '';
    const when = gate ? `: only where ${shown(String(gate.vector))} ${words.sides[gate.side] ?? gate.side} ${gate.threshold ?? '…'}` : '';
    part('more-said', slot).textContent = `Site${where} and condition${when}`;
  };
  return {part, control, vectorOf, blockOf, length, ofFeature, showOne};
};

window.recipeShown = {LIST, copy, number, numbers, put, short, shown, showing};
})();
