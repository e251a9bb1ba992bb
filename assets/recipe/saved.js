/* The saved and shipped recipes of an editor: a list to choose from, and a name to save under. All names are texts. */
(() => {
window.savedRecipes = (root, server, {use, given, vector}) => {
  const part = name => root.querySelector(`[data-part="${name}"]`);
  const fold = part('saved'), list = part('saved-list'), name = part('saved-name'), said = part('saved-said'), undo = part('saved-undo'), file = part('saved-file');
  const make = (tag, properties, ...inside) => {
    const node = Object.assign(document.createElement(tag), properties);
    node.append(...inside);
    return node;
  };
  const say = text => { said.textContent = text; };
  const draw = ({saved = [], shipped = [], removed}) => {
    const before = list.value;
    const group = (label, options) => options.length ? [make('optgroup', {label}, ...options.map(([value, textContent]) => make('option', {value, textContent})))] : [];
    list.replaceChildren(...group('Saved', saved.map(each => [`load ${each}`, each])), ...group('Shipped', shipped.map(([key, title]) => [`ship ${key}`, title])));
    if ([...list.options].some(each => each.value === before)) list.value = before;
    undo.hidden = !removed;
    undo.textContent = removed ? `Undo: have ${removed.name} back` : '';
    undo.dataset.id = removed?.id ?? '';
    follow();
  };
  const follow = () => { root.querySelector('[data-do="discard"]').hidden = !list.value.startsWith('load '); };
  const ask = async sent => {
    let found;
    try { found = await server.ask_saved(sent); }
    catch { say('The server could not be reached.'); return null; }
    draw(found);
    if (found.said) say(found.said);
    return found.said ? null : found;
  };
  const chosen = () => {
    const at = list.value.indexOf(' ');
    return {do: list.value.slice(0, at), name: list.value.slice(at + 1)};
  };
  fold.addEventListener('toggle', () => { if (fold.open) { say(''); ask({do: 'list'}); } });
  list.addEventListener('change', follow);
  name.addEventListener('keydown', event => { if (event.key === 'Enter') { event.preventDefault(); event.stopPropagation(); acts.save(); } });
  file.addEventListener('change', async () => {
    const [sent] = file.files;
    file.value = '';
    if (!sent) return;
    let found;
    try { found = await server.read((await sent.slice(0, 1e6).text())); }
    catch { found = {said: 'The server could not be reached.'}; }
    say(found.recipe ? use(found.recipe) : `${sent.name}: ${found.said}`);
    if (found.recipe) name.value = sent.name.replace(/\.(json|ya?ml)$/i, '');
  });
  const acts = {
    load: async () => {
      const found = await ask({...chosen(), vector: vector()});
      if (found?.recipe) say(use(found.recipe));
    },
    save: async () => {
      const found = await ask({do: 'save', name: name.value, recipe: given()});
      if (!found) return;
      list.value = `load ${found.name}`;
      follow();
      say(`Saved as ${found.name}.`);
    },
    discard: async () => {
      const gone = chosen().name;
      if (!await ask({do: 'remove', name: gone})) return;
      undo.dataset.since = Date.now();
      undo.focus();
      say(`${gone} is removed.`);
    },
    'have-back': async () => {
      const found = await ask({do: 'restore', id: undo.dataset.id});
      if (!found) return;
      list.value = `load ${found.name}`;
      list.focus();
      follow();
      say(`${found.name} is saved again.`);
    },
    'choose-file': () => file.click(),
  };
  return acts;
};
})();
