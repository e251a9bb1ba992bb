/* The kinds of controls of a form. Labels and choices are set as texts and properties, never as markup. */
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
    if (!asked) form.again(field);  // says of an upload what it was understood as
  });
  own?.addEventListener('input', () => form.set(field, form.value(field, own.value), WAIT));
  own?.addEventListener('change', () => form.again(field));
  const fill = options => {
    const key = JSON.stringify(options);
    if (select.dataset.key === key) return;
    const groups = new Map();
    select.replaceChildren();
    for (const [shown, value, group] of options) {
      if (group && !groups.has(group)) groups.set(group, select.appendChild(make('optgroup', {label: group})));
      (groups.get(group) ?? select).append(make('option', {value, textContent: shown}));
    }
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
    own.hidden = !typing && !choices.some(([, each, group]) => group && each === value);  // `::COLUMN` may follow an upload's name
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
      ticks.classList.toggle('sw-columned', all.length > 8 && all.every(([shown]) => shown.length < 18));
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

window.fieldKinds = {KINDS, described, make, same};
})();
