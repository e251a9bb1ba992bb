/* The list of runs: which are ticked (kept while the list is drawn anew and while others are looked for), and what is done with
   those: compared, written to a file; and files that are imported, by a button or dropped on the list. The server draws the
   rows; all that is said here is set as text. */
(() => {
const FEWEST = 2, MOST = 4, COMPARED = 'compare';

/* What the address says, without asking for the page again. */
const tell = ids => {
  const query = new URLSearchParams(location.search);
  query.delete(COMPARED);
  const rest = query.toString(), named = ids.length ? `${COMPARED}=${ids.join(',')}` : '';
  history.replaceState(history.state, '', location.pathname + '?' + [named, rest].filter(Boolean).join('&') + location.hash);
};

window.runsList = (element, props, server, watch, upload, trigger) => {
  const ticked = new Set(new URLSearchParams(location.search).get(COMPARED)?.split(',').slice(0, MOST) ?? []);
  let named = [...ticked], said = '', bare = false;
  const part = name => element.querySelector(`[data-part="${name}"]`);
  const say = text => { said = text; if (part('said')) part('said').textContent = text; };
  const rows = () => [...element.querySelectorAll('[data-tick]')];
  const mark = () => {
    rows().forEach(box => { box.checked = ticked.has(box.dataset.tick); });
    const shown = rows().filter(box => box.checked).length, hidden = ticked.size - shown, bar = part('bar');
    if (!bar) return;
    for (const button of bar.querySelectorAll('[data-do]')) {
      const few = {compare: FEWEST, export: 1, untick: 1}[button.dataset.do] ?? 0, many = button.dataset.do === 'compare' ? MOST : Infinity;
      button.disabled = ticked.size < few || ticked.size > many;
      if (button.dataset.do === 'untick') button.hidden = !ticked.size;
    }
    part('count').textContent = ticked.size ? `${ticked.size} ticked${hidden ? `, ${hidden} of them not in this list` : ''}` : 'Tick two to four to compare them, or any to export them.';
    part('said').textContent = said;
    part('bare').checked = bare;
  };
  const compare = ids => { tell(ids); trigger('compare', {picks: ids.join(',')}); };
  const take = async file => {
    if (!file) return;
    say(`Reading ${file.name} …`);
    try {
      const {path} = await upload(file);
      say('');
      trigger('arrive', {path, name: file.name});
    } catch { say(`${file.name} could not be sent.`); }
  };
  const acts = {
    choose: () => part('file').click(),
    untick: () => { ticked.clear(); mark(); },
    compare: () => compare(rows().filter(box => box.checked).map(box => box.dataset.tick).reverse().concat([...ticked].filter(id => !rows().some(box => box.dataset.tick === id)))),
    export: async () => {
      say('Writing …');
      const answer = await server.pack({ids: [...ticked], bare});
      say(answer?.error ?? '');
      if (!answer?.path) return;
      const href = new URL('gradio_api/file=' + answer.path.split('/').map(encodeURIComponent).join('/'), document.baseURI);
      Object.assign(document.createElement('a'), {href, download: answer.name}).click();
    },
    star: row => trigger('star', {pick: row.dataset.pick}),
    remove: row => { ticked.delete(row.dataset.pick); trigger('remove', {pick: row.dataset.pick}); },
  };
  element.addEventListener('click', event => {
    const row = event.target.closest('[data-pick]'), button = event.target.closest('[data-do]');
    if (button) return acts[button.dataset.do]?.(row);
    if (!row || event.target.closest('a, label')) return;
    element.querySelectorAll('.sw-chosen').forEach(each => each.classList.remove('sw-chosen'));
    row.classList.add('sw-chosen');
    trigger('choose', {pick: row.dataset.pick});
  });
  element.addEventListener('change', event => {
    const id = event.target.dataset?.tick;
    if (id) { if (event.target.checked) ticked.add(id); else ticked.delete(id); mark(); }
    if (event.target === part('bare')) bare = event.target.checked;
    if (event.target === part('file')) { take(event.target.files[0]); event.target.value = ''; }
  });
  element.addEventListener('dragover', event => { if (event.dataTransfer?.types.includes('Files')) event.preventDefault(); });
  element.addEventListener('drop', event => {
    // What is no ZIP is another exported file, which the page itself takes.
    if (!event.dataTransfer?.files[0]?.name.toLowerCase().endsWith('.zip')) return;
    event.preventDefault();
    take(event.dataTransfer.files[0]);
  });
  const drawn = () => {
    mark();
    if (!named.length || !part('bar')) return;
    const ids = named;  // of the address, once the page stands
    named = [];
    compare(ids);
  };
  watch('value', drawn);
  mark();
};

/* What stands side by side: closing it takes it out of the address. */
window.comparedRuns = (element, trigger) => element.addEventListener('click', event => {
  if (!event.target.closest('[data-do="close"]')) return;
  tell([]);
  trigger('close');
});
})();
