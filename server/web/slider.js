// The date that is known, as a place in the whole history: a slider over its closes,
// with what the model was fitted on and selected by below.

import { colour } from './dom.js';
import { date, isDaily } from './format.js';

export function slider(app, input, canvas) {
  const draw = () => {
    const { history, model } = app;
    const { clientWidth: width, clientHeight: height } = canvas;
    if (!history || width === 0) return;
    const k = devicePixelRatio;
    canvas.width = Math.round(width * k);
    canvas.height = Math.round(height * k);
    const c = canvas.getContext('2d');
    c.scale(k, k);
    const { candles, known } = history;
    const last = candles.length - 1;
    const pad = 8; // half a thumb
    const x = (i) => pad + (i / last) * (width - 2 * pad);
    const floor = height - 6;
    let [low, high] = [Infinity, -Infinity];
    for (const { close } of candles) [low, high] = [Math.min(low, close), Math.max(high, close)];
    const y = (close) => floor - 4 - (Math.log(close / low) / Math.log(high / low || 1)) * (floor - 10);

    const part = (from, to, stroke) => {
      if (to <= from) return;
      c.strokeStyle = stroke;
      c.beginPath();
      const skip = Math.max(1, Math.floor(candles.length / (2 * width)));
      for (let i = from; i <= to; i += skip) c.lineTo(x(i), y(candles[i].close));
      c.lineTo(x(to), y(candles[to].close));
      c.stroke();
    };
    c.lineWidth = 1.25;
    c.lineJoin = 'round';
    part(0, known - 1, colour('ink'));
    part(known - 1, last, colour('faint'));
    for (const [name, ranges] of [['fit', model?.fit], ['selected', model?.selected]]) {
      c.fillStyle = colour(name);
      for (const [from, to] of spans(ranges ?? [], candles)) c.fillRect(x(from), floor, Math.max(1, x(to) - x(from)), 3);
    }
    c.fillStyle = colour('accent');
    c.fillRect(x(known - 1) - 0.75, 0, 1.5, floor + 3);
    c.beginPath();
    c.roundRect(x(known - 1) - 4, height / 2 - 11, 8, 18, 3);
    c.fill();
  };

  app.on('history', () => {
    const { candles, known, interval } = app.history;
    input.max = candles.length - 1;
    input.value = known - 1;
    input.setAttribute('aria-valuetext', date(candles[known - 1].time, interval));
    draw();
  });
  app.on('state theme', draw);
  new ResizeObserver(draw).observe(canvas);
  input.addEventListener('input', () => {
    const { candles, interval } = app.history;
    const { time } = candles[Math.max(1, Number(input.value))];
    const newest = Date.parse(time) === Date.parse(app.asset.last);
    app.set({ as_of: newest ? '' : isDaily(interval) ? date(time) : time }, 250);
  });
}

// spans are the index ranges of dates that a checkpoint names, overlapping ones as one.
function spans(ranges, candles) {
  const found = ranges.filter((r) => r.first).map((r) => {
    const [first, last] = [Date.parse(r.first), Date.parse(r.last)];
    return [candles.findIndex((c) => c.at >= first), candles.findLastIndex((c) => c.at <= last)];
  }).filter(([from, to]) => from >= 0 && to > from).sort((a, b) => a[0] - b[0]);
  const out = [];
  for (const [from, to] of found) {
    const open = out.at(-1);
    if (open && from <= open[1] + 1) open[1] = Math.max(open[1], to);
    else out.push([from, to]);
  }
  return out;
}
