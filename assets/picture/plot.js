/* Draws a figure as one SVG at the width that there is: lines, areas, points, bars and maps over two axes.
   Figures come as `workbench/page/pictures.py` sends them: Plotly's words for what is drawn here, and no others. All texts
   are set as text. Ink and grid follow the theme by the style sheet; hues are the figure's own. */
(() => {
const SPACE = 'http://www.w3.org/2000/svg', SMALL = 11, LINE = 15;
const FONT = '"Inter", "IBM Plex Sans", "Segoe UI", system-ui, sans-serif';
const DASHES = {dot: '1.5 3', dash: '6 4', dashdot: '6 3 1.5 3', longdash: '10 4', longdashdot: '10 4 1.5 4'};

const make = (kind, attributes, inside = []) => {
  const node = document.createElementNS(SPACE, kind);
  for (const [name, value] of Object.entries(attributes)) if (value !== null && value !== undefined) node.setAttribute(name, value);
  node.append(...[].concat(inside));
  return node;
};
const brush = document.createElement('canvas').getContext('2d');
const wide = (text, size = SMALL) => { brush.font = `${size}px ${FONT}`; return brush.measureText(text).width; };
const cut = (text, room, size = SMALL) => {
  if (wide(text, size) <= room) return text;
  let end = text.length;
  while (end > 1 && wide(text.slice(0, end) + '…', size) > room) end -= 1;
  return text.slice(0, end) + '…';
};
const label = (text, x, y, more = {}) => make('text', {x, y, 'font-size': SMALL, ...more}, [text]);
const there = value => value !== null && value !== undefined;
const list = value => Array.isArray(value) ? value : [];
const pick = (value, n) => Array.isArray(value) ? value[n] : value;
const round = value => Math.round(value * 100) / 100;

/* -- numbers as people read them ------------------------------------------------------------------------------------ */
const figure = value => {
  const size = Math.abs(value);
  if (!size) return '0';
  return size >= 1e5 || size < 1e-3 ? value.toExponential(1).replace('.0e', 'e').replace('e+', 'e') : String(+value.toPrecision(6));
};
const formatted = (value, form) => {
  if (typeof value !== 'number' || !form) return typeof value === 'number' ? figure(+value.toPrecision(4)) : String(value ?? '–');
  const [, plus, places, kind] = /^(\+?)(?:\.(\d+))?([fg%]?)$/.exec(form) ?? [null, '', '3', 'g'];
  const text = kind === 'f' ? value.toFixed(+(places ?? 0)) : kind === '%' ? `${(100 * value).toFixed(+(places ?? 0))} %` : figure(+value.toPrecision(+(places ?? 6) || 1));
  return (plus && value >= 0 ? '+' : '') + text.replace('-', '−');
};
/* A hover text of Plotly's form as lines of text. */
const told = (template, values) => {
  const extra = /<extra>(.*?)<\/extra>/s.exec(template)?.[1] ?? '', text = template.replace(/<extra>.*?<\/extra>/s, '');
  const put = line => line.replace(/%\{(\w+)(?:\[(\d+)\])?(?::([^}]*))?\}/g, (_, name, place, form) => {
    const value = Object.hasOwn(values, name) ? values[name] : null;
    return formatted(place === undefined ? value : value?.[+place], form);
  });
  return [...text.split('<br>'), extra].map(put).filter(Boolean);
};

/* -- axes ----------------------------------------------------------------------------------------------------------- */
const steps = (low, high, most) => {
  const rough = (high - low) / Math.max(1, most), power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 2.5, 5, 10].map(each => each * power).find(each => each >= rough * 0.999);
};
/* One axis: the range of what is drawn, where each value lies from 0 to 1, and its ticks. */
const axisOf = (letter, given, traces, shapes) => {
  const shown = traces.flatMap(trace => list(trace[letter])), words = given.type === 'category' || shown.some(each => typeof each === 'string');
  if (words) {
    const names = [...new Set(shown.map(String))], count = Math.max(1, names.length), back = given.autorange === 'reversed';
    const at = value => { const n = names.indexOf(String(value)); return n < 0 ? null : (back ? count - n - 0.5 : n + 0.5) / count; };
    return {names, count, at, step: 1 / count, ticks: () => names.map(name => [at(name), name])};
  }
  const log = given.type === 'log', rise = value => log ? (value > 0 ? Math.log10(value) : null) : value;
  const bars = traces.some(trace => trace.type === 'bar' && letter === 'y'), cells = traces.some(trace => trace.type === 'heatmap');
  let ends = given.range;
  if (!ends) {
    const all = traces.flatMap(trace => list(trace[letter]).flatMap((value, n) => {
      const error = trace[`error_${letter}`];
      return error ? [value, value + (error.array[n] ?? 0), value - (error.arrayminus?.[n] ?? error.array[n] ?? 0)] : [value];
    }));
    for (const shape of shapes) if ((shape[letter + 'ref'] ?? letter) === letter) all.push(shape[letter + '0'], shape[letter + '1']);
    const known = [...all, ...bars ? [0] : []].filter(there).map(rise).filter(each => there(each) && Number.isFinite(each));
    const low = Math.min(...known), high = Math.max(...known), pad = cells || traces.some(trace => trace.type === 'bar' && letter === 'x') ? 0.5 : (high - low) * 0.05 || 0.5;
    ends = known.length ? [bars && low === 0 ? 0 : low - pad, high + pad] : [0, 1];
  }
  const [low, high] = ends, at = value => { const risen = rise(value); return there(risen) ? (risen - low) / (high - low || 1) : null; };
  const ticks = most => {
    if (given.tickvals) return given.tickvals.map((value, n) => [at(value), String(given.ticktext?.[n] ?? value)]);
    const step = log ? Math.max(1, Math.ceil((high - low) / most)) : given.dtick ? given.dtick * Math.max(1, Math.ceil((high - low) / given.dtick / most)) : steps(low, high, most);
    const found = [];
    for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9 && found.length < 200; n++) {
      const value = n * step;
      found.push([(value - low) / (high - low || 1), log ? figure(10 ** value) : figure(+value.toPrecision(12)).replace('-', '−')]);
    }
    return found.length > 1 || !log ? found : [low, high].map(each => [(each - low) / (high - low || 1), figure(+(10 ** each).toPrecision(2))]);
  };
  return {at, ticks, step: 1 / (high - low || 1), log};
};

/* -- colours of a map ----------------------------------------------------------------------------------------------- */
const channels = colour => {
  const hex = /^#(..)(..)(..)$/.exec(colour);
  if (hex) return [...hex.slice(1).map(each => parseInt(each, 16)), 1];
  const all = colour.match(/[\d.]+/g).map(Number);
  return [...all, ...all.length < 4 ? [1] : []];
};
const shade = (scale, share) => {
  const place = Math.min(1, Math.max(0, share)), n = Math.max(1, scale.findIndex(([at]) => at >= place)), [from, first] = scale[n - 1], [to, last] = scale[n];
  const t = (place - from) / (to - from || 1), mixed = channels(first).map((value, k) => value + t * (channels(last)[k] - value));
  return `rgba(${mixed.slice(0, 3).map(Math.round).join(',')},${round(mixed[3])})`;
};

/* -- marks ---------------------------------------------------------------------------------------------------------- */
const symbol = (kind, x, y, size, paint) => {
  const r = size / 2, base = kind.replace('-open', ''), open = kind !== base, fill = open ? 'none' : paint.fill;
  const line = {stroke: open ? paint.fill : paint.line, 'stroke-width': open ? Math.max(1.5, paint.width) : paint.width, opacity: paint.opacity, class: 'point'};
  if (base === 'square') return make('rect', {x: x - r * 0.9, y: y - r * 0.9, width: 1.8 * r, height: 1.8 * r, fill, ...line});
  const strokes = {x: `M${x - r} ${y - r}L${x + r} ${y + r}M${x - r} ${y + r}L${x + r} ${y - r}`, 'line-ew': `M${x - r} ${y}H${x + r}`};
  strokes['x-thin'] = strokes.x;
  if (strokes[base]) return make('path', {d: strokes[base], fill: 'none', ...line, stroke: base === 'x' ? paint.fill : paint.line ?? paint.fill, 'stroke-width': base === 'x' ? 2 : paint.width || 1.5});
  if (base === 'diamond') return make('path', {d: `M${x} ${y - 1.3 * r}L${x + 1.3 * r} ${y}L${x} ${y + 1.3 * r}L${x - 1.3 * r} ${y}Z`, fill, ...line});
  return make('circle', {cx: x, cy: y, r, fill, ...line});
};
const paintOf = (trace, n) => {
  const marker = trace.marker ?? {}, fill = pick(marker.color, n) ?? trace.line?.color ?? 'currentColor';
  return {fill, line: pick(marker.line?.color, n), width: marker.line?.width ?? 0, opacity: marker.opacity};
};
const stroke = line => ({fill: 'none', stroke: line?.color ?? 'currentColor', 'stroke-width': line?.width ?? 2, 'stroke-dasharray': DASHES[line?.dash]});
const joined = points => points.reduce((path, [x, y]) => there(x) && there(y) ? [path[0] + `${path[1] ? 'L' : 'M'}${round(x)} ${round(y)}`, true] : [path[0], false], ['', false])[0];

const errorBars = (trace, points, space, place) => ['x', 'y'].flatMap(letter => {
  const bars = trace[`error_${letter}`];
  if (!bars) return [];
  return points.map(([x, y], n) => {
    if (!there(x) || !there(y) || !there(bars.array[n])) return '';
    const value = trace[letter][n], low = place[letter](value - (bars.arrayminus?.[n] ?? bars.array[n])) ?? (letter === 'x' ? space.left : space.bottom), high = place[letter](value + bars.array[n]);
    const d = letter === 'x' ? `M${low} ${y}H${high}` : `M${x} ${low}V${high}`;
    return make('path', {d, ...stroke({color: bars.color ?? paintOf(trace, n).fill, width: bars.thickness ?? 1.5})});
  });
});
const hoverOf = (trace, n, values) => {
  if (trace.hoverinfo === 'skip') return null;
  if (trace.hoverinfo === 'text') return () => [String(pick(trace.hovertext, n) ?? '')];
  const template = trace.hovertemplate ?? `${trace.name ? '<extra>%{name}</extra>' : ''}%{x}, %{y}`;
  return () => told(template, {...values(), name: trace.name, text: pick(trace.text, n), customdata: trace.customdata?.[n]});
};
const scattered = (trace, space, place, spots) => {
  const points = list(trace.x).map((value, n) => [place.x(value), place.y(trace.y[n])]), mode = trace.mode ?? 'lines+markers', parts = [];
  if (trace.fill === 'toself') parts.push(make('path', {d: joined(points) + 'Z', fill: trace.fillcolor, stroke: 'none'}));
  if (mode.includes('lines') && trace.line?.width !== 0) parts.push(make('path', {d: joined(points), ...stroke(trace.line), 'stroke-linejoin': 'round'}));
  parts.push(...errorBars(trace, points, space, place).filter(Boolean));
  points.forEach(([x, y], n) => {
    if (!there(x) || !there(y)) return;
    const marked = mode.includes('markers');
    if (marked) parts.push(symbol(pick(trace.marker?.symbol, n) ?? 'circle', round(x), round(y), pick(trace.marker?.size, n) ?? 6, paintOf(trace, n)));
    const said = trace.fill ? null : hoverOf(trace, n, () => ({x: trace.x[n], y: trace.y[n]}));
    if (said) spots.push({x, y, said, hue: paintOf(trace, n).fill});
  });
  return parts;
};
const barred = (trace, space, place, spots, axes) => list(trace.x).map((value, n) => {
  const x = place.x(value), y = place.y(trace.y[n]), foot = place.y(0) ?? space.bottom, width = axes.x.step * space.width * 0.8;
  if (!there(x) || !there(y)) return '';
  const said = hoverOf(trace, n, () => ({x: value, y: trace.y[n]}));
  if (said) spots.push({x, y: Math.min(y, foot), said, box: [x - width / 2, space.top, width, space.height], hue: paintOf(trace, n).fill});
  return make('rect', {x: round(x - width / 2), y: round(Math.min(y, foot)), width: round(width), height: round(Math.abs(foot - y)), fill: paintOf(trace, n).fill, class: 'point'});
}).filter(Boolean);
const mapped = (trace, space, place, spots, axes) => {
  const width = axes.x.step * space.width, height = axes.y.step * space.height, gap = Math.min(trace.xgap ?? 0, width / 4, height / 4), parts = [];
  trace.z.forEach((row, j) => row.forEach((value, i) => {
    if (!there(value)) return;
    const x = place.x(trace.x[i]) - width / 2, y = place.y(trace.y[j]) - height / 2;
    parts.push(make('rect', {x: round(x + gap / 2), y: round(y + gap / 2), width: round(Math.max(0.5, width - gap)), height: round(Math.max(0.5, height - gap)), fill: shade(trace.colorscale, (value - trace.zmin) / (trace.zmax - trace.zmin || 1))}));
    const said = () => told(trace.hovertemplate ?? '%{z}', {x: trace.x[i], y: trace.y[j], z: value, customdata: [].concat(trace.customdata?.[j]?.[i] ?? [])});
    const plain = /customdata(?!\[)/.test(trace.hovertemplate ?? '');
    spots.push({x: x + width / 2, y: y + height / 2, box: [x, y, width, height], said: plain ? () => told(trace.hovertemplate, {x: trace.x[i], y: trace.y[j], z: value, customdata: trace.customdata?.[j]?.[i]}) : said});
  }));
  return parts;
};
const MARKS = {scatter: scattered, bar: barred, heatmap: mapped};

/* -- what stands around the marks ----------------------------------------------------------------------------------- */
const keyOf = trace => trace.legendgroup ?? trace.name;
const legendOf = (traces, layout, width, hidden) => {
  if (!layout.showlegend) return {rows: 0, items: []};
  const named = traces.filter(trace => trace.name && trace.showlegend !== false);
  let x = 0, row = 0;
  const items = named.map(trace => {
    const text = cut(trace.name, width - 30), room = 26 + wide(text) + 12;
    if (x && x + room > width) { x = 0; row += 1; }
    const item = {trace, text, x, row, off: hidden.has(keyOf(trace))};
    x += room;
    return item;
  });
  return {rows: items.length ? row + 1 : 0, items};
};
const legendDrawn = ({items}, left) => items.map(({trace, text, x, row, off}) => {
  const y = 8 + row * (LINE + 3), from = left + x, parts = [], mode = trace.mode ?? '';
  if (trace.fill) parts.push(make('rect', {x: from, y: y - 4, width: 18, height: 8, fill: trace.fillcolor}));
  else if (trace.type === 'scatter' && mode.includes('lines')) parts.push(make('path', {d: `M${from} ${y}h18`, ...stroke(trace.line)}));
  if (!trace.fill && mode.includes('markers')) parts.push(symbol([].concat(trace.marker?.symbol ?? 'circle')[0].replace('-open', trace.mode === 'markers' && !Array.isArray(trace.marker?.symbol) ? '-open' : ''), from + 9, y, 7, paintOf(trace, 0)));
  parts.push(label(text, from + 23, y + 4));
  return make('g', {class: 'sw-key', 'data-key': keyOf(trace), opacity: off ? 0.4 : null}, parts);
});
const scaleBar = (trace, space) => {
  const x = space.right + 12, id = `scale${Math.random().toString(36).slice(2)}`;
  const stops = Array.from({length: 9}, (_, n) => make('stop', {offset: n / 8, 'stop-color': shade(trace.colorscale, n / 8)}));
  const ticks = [0, 0.5, 1].map(share => label(figure(+(trace.zmin + share * (trace.zmax - trace.zmin)).toPrecision(2)).replace('-', '−'), x + 12, space.bottom - share * space.height + 4, {'font-size': 10}));
  const title = trace.colorbar?.title?.text ?? '';
  return [make('linearGradient', {id, x1: 0, x2: 0, y1: 1, y2: 0}, stops), make('rect', {x, y: space.top, width: 8, height: space.height, fill: `url(#${id})`}),
    ...ticks, label(title, x - 2, space.top - 6, {'text-anchor': 'start', 'font-size': 10})];
};
const shapeDrawn = (shape, space, place) => {
  const at = (letter, end) => {
    const value = shape[letter + end], whole = (shape[letter + 'ref'] ?? letter) !== letter;
    if (!whole) return place[letter](value) ?? (letter === 'x' ? space.left : space.bottom);
    return letter === 'x' ? space.left + value * space.width : space.bottom - value * space.height;
  };
  const [x0, x1, y0, y1] = [at('x', 0), at('x', 1), at('y', 0), at('y', 1)];
  if (shape.type !== 'rect') return make('path', {d: `M${x0} ${y0}L${x1} ${y1}`, ...stroke(shape.line)});
  /* A range of nothing, as of one random direction, is a line: a rectangle without any width is not drawn, nor is its edge. */
  return make('rect', {x: Math.min(x0, x1), y: Math.min(y0, y1), width: Math.max(0.1, Math.abs(x1 - x0)), height: Math.max(0.1, Math.abs(y1 - y0)), fill: shape.fillcolor, stroke: shape.line?.color, 'stroke-width': shape.line?.width});
};
const noteDrawn = (note, space, place) => {
  const at = (letter, from, size) => (note[letter + 'ref'] ?? letter) === letter ? place[letter](note[letter]) : letter === 'x' ? from + note.x * size : from - note.y * size;
  const x = at('x', space.left, space.width) + (note.xshift ?? 0), y = at('y', space.bottom, space.height), above = note.yanchor === 'bottom' ? -5 : 4;
  let anchor = {left: 'start', right: 'end'}[note.xanchor] ?? 'middle';
  if (anchor === 'middle' && x - wide(note.text) / 2 < 0) anchor = 'start';
  if (anchor === 'middle' && x + wide(note.text) / 2 > space.whole) anchor = 'end';
  return label(note.text, x, y + above, {'text-anchor': anchor});
};
const outside = note => note.xref === 'paper' && note.x === 1 && note.xanchor === 'left';

/* Room for everything around the marks, by what is written there. */
const upward = height => Math.max(2, Math.floor(height / 40));
const spaceOf = (width, layout, axes, legend, map) => {
  const height = layout.height ?? 240, notes = list(layout.annotations), named = layout.yaxis?.title?.text;
  const slanted = axes.x.names && axes.x.names.reduce((sum, name) => sum + wide(name) + 8, 0) > width - 80;
  const below = slanted ? Math.min(110, 10 + 0.87 * Math.max(...axes.x.names.map(name => wide(name)))) : 20;
  const over = notes.some(note => note.yref === 'paper' && note.y === 1 && note.yanchor === 'bottom') ? LINE : 0;
  const top = 6 + legend.rows * (LINE + 3) + (named ? LINE + 3 : 0) + over + (map && !named ? LINE : 0);
  const bottom = height - below - (layout.xaxis?.title?.text ? LINE + 3 : 0);
  const names = axes.y.ticks(upward(bottom - top)).map(([, text]) => cut(text, Math.min(220, width * 0.42)));
  const left = 10 + Math.max(8, ...names.map(text => wide(text)));
  const right = width - Math.max(map ? 52 : 12, ...notes.filter(outside).map(note => wide(note.text) + 10));
  return {left, right, top, bottom, width: Math.max(20, right - left), height: Math.max(20, bottom - top), whole: width, slanted, over};
};
const grid = (axes, layout, space) => {
  const xs = axes.x.ticks(Math.max(2, Math.floor(space.width / (axes.x.log ? 60 : 34)))), ys = axes.y.ticks(upward(space.height)), parts = [], inside = ([share]) => share > -0.001 && share < 1.001;
  const skip = axes.x.names && space.slanted ? Math.ceil(13 / (axes.x.step * space.width)) : 1;
  xs.filter(inside).forEach(([share, text], n) => {
    const x = round(space.left + share * space.width);
    if (!axes.x.names) parts.push(make('path', {d: `M${x} ${space.top}V${space.bottom}`, class: 'sw-grid'}));
    if (n % skip) return;
    const turned = space.slanted ? {'text-anchor': 'end', transform: `rotate(-60 ${x} ${space.bottom + 10})`} : {'text-anchor': 'middle'};
    parts.push(label(space.slanted ? cut(text, 118) : text, x, space.bottom + (space.slanted ? 12 : 15), turned));
  });
  ys.filter(inside).forEach(([share, text]) => {
    const y = round(space.bottom - share * space.height);
    if (!axes.y.names) parts.push(make('path', {d: `M${space.left} ${y}H${space.right}`, class: 'sw-grid'}));
    parts.push(label(cut(text, space.left - 9), space.left - 6, y + 4, {'text-anchor': 'end'}));
  });
  const [across, up] = [layout.xaxis?.title?.text ?? '', layout.yaxis?.title?.text ?? ''];
  if (across) parts.push(label(cut(across, space.whole - 4, 12), Math.max(space.left + space.width / 2, wide(across, 12) / 2 + 2), (layout.height ?? 240) - 5, {'text-anchor': 'middle', 'font-size': 12}));
  if (up) parts.push(label(cut(up, space.whole - 4, 12), 2, space.top - 8 - space.over, {'font-size': 12}));
  return parts;
};

/* Gives the SVG, and the spots that say something when one points at them: {x, y, said, hue, box}. */
window.drawFigure = (data, width, hidden = new Set()) => {
  const {layout} = data, shown = data.traces.filter(trace => !hidden.has(keyOf(trace))), shapes = list(layout.shapes);
  const axes = {x: axisOf('x', layout.xaxis ?? {}, shown, shapes), y: axisOf('y', layout.yaxis ?? {}, shown, shapes)};
  const legend = legendOf(data.traces, layout, width - 4, hidden), map = data.traces.find(trace => trace.type === 'heatmap');
  const space = spaceOf(width, layout, axes, legend, map), spots = [], height = layout.height ?? 240, clip = `clip${Math.random().toString(36).slice(2)}`;
  const along = (axis, from, size) => value => { const share = axis.at(value); return there(share) ? from + share * size : null; };
  const place = {x: along(axes.x, space.left, space.width), y: along(axes.y, space.bottom, -space.height)};
  const marks = shown.map(trace => make('g', {opacity: trace.opacity}, MARKS[trace.type](trace, space, place, spots, axes)));
  const [below, above] = [true, false].map(under => shapes.filter(shape => (shape.layer === 'below') === under).map(shape => shapeDrawn(shape, space, place)));
  const area = make('rect', {x: space.left - 5, y: space.top - 5, width: space.width + 10, height: space.height + 10});
  const svg = make('svg', {width, height, viewBox: `0 0 ${width} ${height}`, 'font-family': FONT, role: 'img'}, [
    make('clipPath', {id: clip}, [area]), make('g', {}, legendDrawn(legend, 2)), make('g', {}, grid(axes, layout, space)),
    make('g', {'clip-path': `url(#${clip})`}, [...below, ...marks, ...above]),
    make('g', {}, [...list(layout.annotations).map(note => noteDrawn(note, space, place)), ...map ? scaleBar(map, space) : []]),
  ]);
  return {svg, spots};
};
})();
