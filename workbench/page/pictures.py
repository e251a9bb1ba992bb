"""Saving a figure of the page as SVG or PNG, in the browser: it draws the figure, so it has the picture."""

from __future__ import annotations


SAVE_HTML = (
    '<div class="sw-save"><button type="button" data-save="svg">SVG</button> '
    '<button type="button" data-save="png">PNG</button></div>'
)
"""Two buttons; stands in the card of the figure that they save."""
SAVE_SCRIPT = """
element.addEventListener('click', event => {
  const kind = event.target.dataset && event.target.dataset.save;
  const card = element.closest('.sw-card');
  const layers = card ? [...card.querySelectorAll('.js-plotly-plot svg.main-svg')] : [];
  if (!kind || !layers.length) return;
  const {width, height} = layers[0].getBoundingClientRect();
  const space = 'http://www.w3.org/2000/svg';
  const whole = document.createElementNS(space, 'svg');
  for (const [name, value] of Object.entries({width, height, viewBox: `0 0 ${width} ${height}`})) {
    whole.setAttribute(name, value);
  }
  const ground = document.createElementNS(space, 'rect');
  ground.setAttribute('width', width);
  ground.setAttribute('height', height);
  ground.setAttribute('fill', getComputedStyle(card).backgroundColor);
  whole.append(ground);
  // Plotly draws in layers that lie on one another.
  for (const layer of layers) whole.append(...layer.cloneNode(true).childNodes);
  const text = new XMLSerializer().serializeToString(whole);
  const title = (card.querySelector('.sw-h') || {}).textContent || 'figure';
  const save = (blob, ending) => {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(blob);
    link.download = `${title}.${ending}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  const svg = new Blob([text], {type: 'image/svg+xml'});
  if (kind === 'svg') return save(svg, 'svg');
  const picture = new Image();
  picture.onload = () => {
    const canvas = document.createElement('canvas');
    canvas.width = 2 * width;
    canvas.height = 2 * height;
    canvas.getContext('2d').drawImage(picture, 0, 0, canvas.width, canvas.height);
    canvas.toBlob(blob => save(blob, 'png'));
  };
  picture.src = 'data:image/svg+xml;charset=utf-8,' + encodeURIComponent(text);
});
"""
