/* One card of the shelf, and the fields in which somebody notes something of it; all texts are set as text. */
(() => {
window.shelfCards = root => {
  const model = name => root.querySelector(`template[data-part="${name}"]`).content.firstElementChild;
  const SHOWN = 160;

  const card = (given, picked) => {
    const made = model('card').cloneNode(true), at = name => made.querySelector(name), on = picked === given.name && !given.unfit;
    made.dataset.name = given.name;
    made.classList.toggle('sw-on', on);
    made.classList.toggle('sw-off', Boolean(given.unfit));
    at('b').textContent = given.name;
    at('.sw-n').textContent = given.best ?? '';
    at('[data-part="facts"]').replaceChildren(...(given.facts ?? []).map(each => Object.assign(document.createElement('small'), {textContent: each})));
    at('.sw-pick').dataset.pick = given.name;  // by which `keys.js` finds the vectors
    at('.sw-pick').setAttribute('aria-pressed', String(on));
    at('.sw-pick').disabled = Boolean(given.wrong);
    for (const points of given.curve ?? []) {
      const line = document.createElementNS('http://www.w3.org/2000/svg', 'polyline');
      line.setAttribute('points', points);
      at('svg').append(line);
    }
    at('svg').setAttribute('aria-label', `AUROC by block of ${given.name}`);
    at('svg').toggleAttribute('hidden', !given.curve?.length);
    at('.sw-why').textContent = given.unfit ?? given.wrong ?? '';
    const note = given.note ?? '';
    at('.sw-noted').textContent = note.length > SHOWN ? `${note.slice(0, SHOWN)} …` : note;
    at('.sw-noted').hidden = !note;
    for (const [name, words] of [['edit', `Name, group and note of ${given.name}`], ['download', `Download ${given.name}`]]) {
      at(`[data-do="${name}"]`).hidden = Boolean(given.wrong);
      at(`[data-do="${name}"]`).setAttribute('aria-label', words);
    }
    at('.sw-remove').setAttribute('aria-label', `Remove ${given.name} from the shelf`);
    return made;
  };

  const editor = given => {
    const made = model('editor').cloneNode(true), wrong = made.querySelector('.sw-wrong');
    for (const field of made.querySelectorAll('[data-in]')) field.value = given[field.dataset.in] ?? '';
    wrong.textContent = given.said ?? '';
    wrong.hidden = !given.said;
    return made;
  };
  return {card, editor};
};

/* What was uploaded, below the shelf: the forms offer it, here it is seen and removed. */
window.shelfUploads = (place, uploads, room) => {
  const make = (tag, properties, ...inside) => {
    const node = Object.assign(document.createElement(tag), properties);
    node.append(...inside);
    return node;
  };
  place.hidden = !uploads.length;
  place.querySelector('summary').textContent = `Uploads · ${uploads.length} · ${room}`;
  place.querySelector('ul').replaceChildren(...uploads.map(each => {
    const remove = make('button', {type: 'button', className: 'sw-do sw-remove', textContent: 'Remove'});
    Object.assign(remove.dataset, {do: 'discard', digest: each.digest, name: each.name});
    remove.setAttribute('aria-label', `Remove the upload ${each.name}`);
    const facts = each.facts.map(text => make('small', {textContent: text}));
    return make('li', {}, make('b', {textContent: each.name}), ...facts, remove);
  }));
};
})();
