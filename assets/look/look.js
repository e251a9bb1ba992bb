/* Asks now and then whether the page is still true, and what runs beside it: in `element` stands the model bar. */
let timer = 0;
const made = (tag, properties, ...inside) => {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...inside);
  return node;
};
// What runs and waits beside what the page itself runs; titles are text.
const elsewhere = jobs => {
  const strip = document.querySelector('.sw-strip');
  if (!strip) return;
  const own = new Set([...strip.querySelectorAll('.sw-strip-row [data-job]')].map(each => each.dataset.job));
  const rows = jobs.filter(job => !own.has(String(job.id))).map(job => made('p', {},
    job.panel ? made('a', {href: `./${job.panel}`, textContent: job.title}) : made('b', {textContent: job.title}),
    made('span', {className: 'sw-n', textContent: job.said})));
  let list = strip.querySelector('.sw-elsewhere');
  if (!list) {
    list = made('section', {className: 'sw-elsewhere'});
    list.setAttribute('aria-label', 'What else runs');
    strip.prepend(list);
  }
  if (list.textContent || rows.length) list.replaceChildren(...rows);
  list.hidden = !rows.length;
};
// The pages are the same for all who sign in, so who it is stands in none of them.
const signedIn = user => {
  const link = user && document.querySelector('.sw-nav a[href$="/sign-out"]');
  if (link) link.textContent = `Sign out ${user}`;
};
// The address of a run: this page's own, or another panel's beside it.
const copyRun = async event => {
  const button = event.target.closest?.('[data-copy-run]');
  if (!button) return;
  const panel = button.closest('.sw-run').dataset.panel;
  const path = panel ? location.pathname.replace(/[^/]*$/, panel) : location.pathname;
  const address = `${location.origin}${path}?run=${button.dataset.copyRun}`;
  let said = 'Copied.';
  try { await navigator.clipboard.writeText(address); } catch { said = address; }  // no clipboard without https
  button.closest('.sw-run').querySelector('[role=status]').textContent = said;
};
document.addEventListener('click', copyRun);
// A run is repeated by its panel's own button, with what stands in the form.
document.addEventListener('click', event => {
  const asked = event.target.closest?.('.sw-notice [data-press]'), at = asked && document.getElementById(asked.dataset.press);
  if (!asked) return;
  const button = at?.matches('button') ? at : at?.querySelector('button');
  if (button?.offsetParent && !button.disabled) button.click();
  else asked.nextElementSibling.textContent = 'This cannot run now: its panel says below what is missing.';
});
// A run as a file: the server makes it, and the browser saves it.
const saved = ({name, data}) => {
  const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0));
  const link = made('a', {href: URL.createObjectURL(new Blob([bytes])), download: name});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
};
window.saveFile = saved;
const bare = () => Boolean(document.querySelector('.sw-run [data-bare]')?.checked);
const saveRun = async event => {
  const button = event.target.closest?.('[data-run-as]'), row = button?.closest('[data-run]');
  if (!row) return;
  const said = row.querySelector('[role=status]');
  button.disabled = true;
  said.textContent = '';
  try {
    const found = await server.exported({run: row.dataset.run, kind: button.dataset.runAs, bare: bare()});
    if (found.error) said.textContent = found.error; else saved(found);
  } catch { said.textContent = 'The server does not answer.'; }
  button.disabled = false;
};
document.addEventListener('click', saveRun);
// What a figure that is saved says of the run that the page shows; '' where there is none.
window.runOrigin = async () => {
  const run = document.querySelector('.sw-run[data-run]:not([data-panel])')?.dataset.run;
  try { return run ? await server.origin({run, bare: bare()}) : ''; } catch { return ''; }
};
// An exported file that is dropped on the page, or chosen: the server reads from its head which run it comes from.
const HEAD = 4000000;
const restore = async file => {
  document.querySelector('.sw-fallen')?.remove();
  let found;
  try {
    const read = new FileReader();
    await new Promise((done, failed) => { read.onload = done; read.onerror = failed; read.readAsDataURL(file.slice(0, HEAD)); });
    found = await server.dropped({name: file.name, data: read.result.slice(read.result.indexOf(',') + 1)});
  } catch { return; }
  if (found.go) { location.assign(found.go); return; }
  const close = made('button', {type: 'button', className: 'sw-link', textContent: 'Close', onclick: () => card.remove()});
  const card = made('div', {className: 'sw-fallen', innerHTML: found.card}, close);  // the server's own markup
  document.querySelector('.sw-body-column')?.prepend(card);
  card.scrollIntoView({block: 'nearest'});
};
const files = event => !event.defaultPrevented && event.dataTransfer?.types.includes('Files') && !event.target.closest?.('input[type=file]');
document.addEventListener('dragover', event => { if (files(event)) event.preventDefault(); });
document.addEventListener('drop', event => {  // what a control takes itself, it has taken by now
  if (!files(event) || !event.dataTransfer.files.length) return;
  event.preventDefault();
  restore(event.dataTransfer.files[0]);
});
document.addEventListener('change', event => { if (event.target.matches?.('[data-open-file]') && event.target.files[0]) restore(event.target.files[0]); });
// What runs from now on is another run than the one that the address names: loaded again, the page shows the new one.
document.addEventListener('click', event => {
  const query = new URLSearchParams(location.search);
  if (!query.has('run') || !event.target.closest?.('.sw-key-run')) return;
  query.delete('run');
  history.replaceState(history.state, '', `${location.pathname}?${query}${location.hash}`);
});
// A page that cannot ask says nothing: the server may be on its way back. What is hidden looks when it is seen again.
const look = async () => {
  clearTimeout(timer);
  if (document.hidden || !element.isConnected) return;
  let wait = 4000;
  try {
    const shown = element.querySelector('[data-seen]'), now = await server.seen();
    if (shown && shown.dataset.seen !== now.seen) trigger('look');
    elsewhere(now.jobs);
    signedIn(now.user);
    wait = now.wait;
  } catch { }
  clearTimeout(timer);
  timer = setTimeout(look, wait);
};
document.addEventListener('visibilitychange', look);
look();
