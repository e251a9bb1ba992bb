/* One figure of the page: drawn when it comes into view, again when its value or the width changes, and never before.
   Pointing at it, touching it or walking through it by arrow keys says what a point is; a click on a name in the legend
   hides a curve; two buttons save what is drawn. */
(() => {
const NEAR = 28;

/* Whatever is waiting to be drawn until somebody sees it; one observer for all figures of the page. */
const waiting = new WeakMap();
const seen = new IntersectionObserver(entries => entries.forEach(entry => {
  const figure = waiting.get(entry.target);
  if (figure) figure(entry.isIntersecting);
}), {rootMargin: '150px'});

/* Where a figure comes from, as the server's `steering.origins.carriers` reads it. */
const ORIGIN = 'steering-workbench-origin';
const crc = bytes => {
  let sum = ~0;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return ~sum >>> 0;
};
// A PNG with a chunk tEXt behind its first one, which has 25 bytes behind the 8 of the file's mark.
const withText = (png, said) => {
  const inner = new TextEncoder().encode(`tEXt${ORIGIN}\0${said}`), chunk = new Uint8Array(inner.length + 8), view = new DataView(chunk.buffer);
  view.setUint32(0, inner.length - 4);
  chunk.set(inner, 4);
  view.setUint32(inner.length + 4, crc(inner));
  return new Blob([png.slice(0, 33), chunk, png.slice(33)], {type: 'image/png'});
};

const saved = async (svg, card, title, kind) => {
  const origin = await window.runOrigin?.() ?? '';  // in ASCII
  const whole = svg.cloneNode(true), {width, height} = svg.getBoundingClientRect(), now = [...svg.querySelectorAll('text, .sw-grid')];
  // The page's style sheet does not travel with the picture.
  whole.querySelectorAll('text, .sw-grid').forEach((node, n) => {
    const style = getComputedStyle(now[n]);
    node.setAttribute(node.tagName === 'text' ? 'fill' : 'stroke', style[node.tagName === 'text' ? 'fill' : 'stroke']);
  });
  const ground = document.createElementNS(whole.namespaceURI, 'rect');
  for (const [name, value] of Object.entries({width, height, fill: getComputedStyle(card).backgroundColor})) ground.setAttribute(name, value);
  whole.prepend(ground);
  if (origin && kind === 'svg') {
    const told = document.createElementNS(whole.namespaceURI, 'metadata');
    told.id = ORIGIN;
    told.textContent = origin;
    whole.prepend(told);
  }
  whole.setAttribute('color', getComputedStyle(svg).color);
  const text = new XMLSerializer().serializeToString(whole);
  const give = (blob, ending) => {
    const link = Object.assign(document.createElement('a'), {href: URL.createObjectURL(blob), download: `${title}.${ending}`});
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  if (kind === 'svg') return give(new Blob([text], {type: 'image/svg+xml'}), 'svg');
  const picture = new Image();
  picture.onload = () => {
    const canvas = Object.assign(document.createElement('canvas'), {width: 2 * width, height: 2 * height});
    canvas.getContext('2d').drawImage(picture, 0, 0, canvas.width, canvas.height);
    canvas.toBlob(async blob => give(origin ? withText(await blob.arrayBuffer(), origin) : blob, 'png'));
  };
  picture.src = 'data:image/svg+xml;charset=utf-8,' + encodeURIComponent(text);
};

window.pictureControl = (element, props, watch) => {
  const root = element.querySelector('.sw-picture'), part = name => root.querySelector(`[data-part="${name}"]`);
  const drawing = part('drawing'), tip = part('tip'), hidden = new Set();
  let figure = null, spots = [], chosen = -1, visible = false, stale = false, width = 0;

  const draw = () => {
    const room = Math.floor(drawing.clientWidth);
    if (!figure || !room) { stale = Boolean(figure); return; }
    stale = false;
    width = room;
    const drawn = window.drawFigure(figure, width, hidden);
    spots = drawn.spots;
    drawn.svg.setAttribute('aria-label', [figure.title, figure.note].filter(Boolean).join('. ') || 'Figure');
    drawing.replaceChildren(drawn.svg);
    say(-1);
  };
  const say = n => {
    const spot = spots[n];
    chosen = spot ? n : -1;
    tip.hidden = !spot;
    if (!spot) return;
    tip.replaceChildren(...spot.said().flatMap((line, place) => place ? [document.createElement('br'), line] : [line]));
    tip.style.borderColor = spot.hue ?? '';
    tip.style.left = `${Math.max(0, Math.min(spot.x + 10, width - tip.offsetWidth))}px`;
    tip.style.top = `${drawing.offsetTop + (spot.y > tip.offsetHeight + 14 ? spot.y - tip.offsetHeight - 10 : spot.y + 14)}px`;
  };
  const nearest = event => {
    const box = drawing.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    let best = -1, least = NEAR;
    spots.forEach((spot, n) => {
      const inside = spot.box && x >= spot.box[0] && x <= spot.box[0] + spot.box[2] && y >= spot.box[1] && y <= spot.box[1] + spot.box[3];
      const far = inside ? NEAR - 1 : spot.box ? Infinity : Math.hypot(spot.x - x, spot.y - y);
      if (far < least) [best, least] = [n, far];
    });
    return best;
  };
  for (const kind of ['pointermove', 'pointerdown']) drawing.addEventListener(kind, event => say(nearest(event)));
  drawing.addEventListener('pointerleave', () => say(-1));
  drawing.addEventListener('blur', () => say(-1));
  drawing.addEventListener('keydown', event => {
    const by = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
    if (event.key === 'Escape') say(-1);
    if (!by || !spots.length) return;
    event.preventDefault();
    say((chosen + by + spots.length) % spots.length);
  });
  drawing.addEventListener('click', event => {
    const key = event.target.closest('.sw-key')?.dataset.key;
    if (!key) return;
    if (!hidden.delete(key)) hidden.add(key);
    draw();
  });
  root.addEventListener('click', event => {
    const kind = event.target.dataset?.save, svg = drawing.querySelector('svg');
    const card = root.closest('.sw-card') ?? root, title = card.querySelector('.sw-h:not([hidden])')?.textContent || 'figure';
    if (kind && svg) saved(svg, card, title, kind);
  });

  const take = () => {
    figure = props.value ?? null;
    root.hidden = !figure;
    if (!figure) { drawing.replaceChildren(); spots = []; say(-1); return; }
    root.classList.toggle('sw-card', figure.card);
    part('title').textContent = figure.title;
    part('title').hidden = !figure.title;
    part('note').textContent = [figure.caption, figure.note].filter(Boolean).join(' ');
    part('note').hidden = !part('note').textContent;
    drawing.style.minHeight = `${figure.layout.height ?? 240}px`;
    stale = true;
    if (visible) requestAnimationFrame(draw);
  };
  waiting.set(root, now => {
    visible = now;
    if (visible && stale) draw();
  });
  seen.observe(root);
  new ResizeObserver(() => {
    if (Math.floor(drawing.clientWidth) === width) return;
    stale = Boolean(figure);
    if (visible && stale) requestAnimationFrame(draw);
  }).observe(drawing);
  addEventListener('beforeprint', () => { if (stale) draw(); });
  watch('value', take);
  take();
};
})();
