/* Markup that changes while something runs: `element` shows `props.value`, which the server has escaped. New markup is compared
   with the markup before, not with the page, and only what differs is changed: so hints on terms, what is chosen, open folds,
   focus and scroll stay in whatever stays. A fold with a name (`data-fold`) stays open on later visits too. */
(() => {
const parsed = text => Object.assign(document.createElement('template'), {innerHTML: text}).content;
const key = node => node.nodeType === Node.ELEMENT_NODE ? `${node.nodeName} ${JSON.stringify(node.dataset)}` : node.nodeName;

/* `live` shows `was` and shall show `is`. What stands for another row or cell than before is made anew. */
const mend = (live, was, is) => {
  if (was.isEqualNode(is)) return;
  if (key(was) !== key(is)) live.replaceWith(is.cloneNode(true));
  else if (is.nodeType !== Node.ELEMENT_NODE) live.data = is.data;
  else { attributes(live, was, is); inside(live, was, is); }
};
const attributes = (live, was, is) => {
  if (was.getAttribute('class') !== is.getAttribute('class')) {  // what others added stays
    live.classList.remove(...was.classList);
    live.classList.add(...is.classList);
  }
  for (const {name} of was.attributes) if (name !== 'class' && !is.hasAttribute(name)) live.removeAttribute(name);
  for (const {name, value} of is.attributes) if (name !== 'class' && was.getAttribute(name) !== value) live.setAttribute(name, value);
};
const inside = (live, was, is) => {
  const shown = [...live.childNodes], before = [...was.childNodes], after = [...is.childNodes];
  if (shown.length !== before.length) return live.replaceChildren(...after.map(node => node.cloneNode(true)));  // a hint stands within a text
  after.forEach((node, n) => n < before.length ? mend(shown[n], before[n], node) : live.append(node.cloneNode(true)));
  shown.slice(after.length).forEach(node => node.remove());
};

const KEPT = 'sw-folds';
const folds = () => { try { return JSON.parse(localStorage.getItem(KEPT)) ?? []; } catch { return []; } };

window.streamedMarkup = (element, props, watch) => {
  const followed = new WeakSet();
  let was = parsed('');
  const show = () => {
    const is = parsed(props.value ?? ''), chosen = element.querySelector('.sw-chosen'), same = chosen && key(chosen);
    inside(element, was, is);
    was = is;
    if (chosen && !chosen.isConnected) [...element.querySelectorAll(chosen.tagName)].find(each => key(each) === same)?.classList.add('sw-chosen');
    element.querySelectorAll('details[data-fold]').forEach(follow);
  };
  const follow = fold => {
    const name = fold.dataset.fold;
    if (followed.has(fold)) return;
    followed.add(fold);
    fold.open = folds().includes(name);
    fold.addEventListener('toggle', () => {
      const others = folds().filter(each => each !== name);
      localStorage.setItem(KEPT, JSON.stringify(fold.open ? [...others, name] : others));
    });
  };
  watch('value', show);
  show();
};
})();
