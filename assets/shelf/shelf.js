/* The shelf: shows `props.value`, {cards, picked}, as cards. What is picked, removed or added goes to the server, which
   sends the value anew. Names and texts from files are set as text, never as markup. */
(() => {
const NOTE = 'Number: best held-out AUROC. Curve: AUROC by block, 0.5 at the base line.';
const EMPTY = 'Empty. Extract a vector, or add a vector file.';

window.vectorShelf = (element, props, server, watch, upload, trigger) => {
  const root = element.querySelector('.sw-shelf-box'), model = root.querySelector('template').content.firstElementChild;
  const part = name => root.querySelector(`[data-part="${name}"]`), list = part('list'), file = part('file');
  let drawn = '', added = null;
  file.accept = props.endings;

  const card = (given, picked) => {
    const made = model.cloneNode(true), at = name => made.querySelector(name), on = picked === given.name && !given.unfit;
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
    at('[data-do="download"]').hidden = Boolean(given.wrong);
    at('[data-do="download"]').setAttribute('aria-label', `Download ${given.name}`);
    at('.sw-remove').setAttribute('aria-label', `Remove ${given.name} from the shelf`);
    return made;
  };
  /* Focus stays on the same button of the same vector; where that is gone, on what stands in its place. */
  const draw = () => {
    const value = props.value ?? {cards: [], picked: null}, now = JSON.stringify([value.cards, value.picked]);
    if (added && value.added !== added) props.value = {...value, added};
    if (now === drawn) return;
    drawn = now;
    const held = list.contains(document.activeElement) ? document.activeElement : null;
    const own = held?.closest('.sw-v'), n = own ? [...list.children].indexOf(own) : -1;
    list.replaceChildren(...value.cards.map(each => card(each, value.picked)));
    root.querySelector('.sw-count').textContent = value.cards.length;
    part('note').textContent = value.cards.length ? NOTE : EMPTY;
    if (!held) return;
    const same = [...list.children].find(each => each.dataset.name === own.dataset.name);
    const next = same ?? list.children[Math.min(n, list.children.length - 1)];
    (next?.querySelector(`[data-do="${same ? held.dataset.do : 'pick'}"]`) ?? root.querySelector('[data-do="choose"]')).focus();
  };
  const add = async given => {
    if (!given) return;
    part('said').textContent = `Reading ${given.name} …`;
    try { ({path: added} = await upload(given)); }
    catch { part('said').textContent = `${given.name} could not be sent.`; return; }
    props.value = {...props.value, added};
    await new Promise(done => setTimeout(done));
    part('said').textContent = '';
    trigger('upload');
  };
  const acts = {
    choose: () => file.click(),
    pick: name => trigger('pick', {name}),
    // Removing asks first: the button turns into the question, and back when it loses the focus.
    remove: (name, button) => {
      if (button.classList.contains('sw-sure')) { trigger('remove', {name}); part('said').textContent = `${name} is removed.`; return; }
      const before = button.textContent;
      button.classList.add('sw-sure');
      button.textContent = 'Really remove?';
      button.addEventListener('blur', () => { button.classList.remove('sw-sure'); button.textContent = before; }, {once: true});
    },
    download: async name => {
      const path = await server.file_of(name);
      if (!path) { part('said').textContent = `${name} is not on the shelf any more.`; return; }
      const href = new URL('gradio_api/file=' + path.split('/').map(encodeURIComponent).join('/'), document.baseURI);
      Object.assign(document.createElement('a'), {href, download: `${name}.safetensors`}).click();
    },
  };
  root.addEventListener('click', event => {
    const button = event.target.closest('[data-do]');
    if (button) acts[button.dataset.do](button.closest('.sw-v')?.dataset.name, button);
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
