// Small charts of candles, drawn without axes.

import { svg } from './dom.js';

// smallCandles draws candles in a box of a width and a height: those from the index
// where the future begins in its own colour.
export function smallCandles(candles, { width, height, future = candles.length, low, high, label }) {
  low ??= Math.min(...candles.map((c) => c.low));
  high ??= Math.max(...candles.map((c) => c.high));
  const step = width / candles.length;
  const y = (price) => 2 + (height - 4) * (1 - (Math.log(price / low) / (Math.log(high / low) || 1)));
  const box = svg('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': label, class: 'small' });
  if (future < candles.length) box.append(svg('rect', { x: future * step, y: 0, width: width - future * step, height, class: 'then' }));
  candles.forEach((c, i) => {
    const x = (i + 0.5) * step;
    const body = Math.max(1, Math.min(14, 0.62 * step));
    const [top, bottom] = [y(Math.max(c.open, c.close)), y(Math.min(c.open, c.close))];
    box.append(svg('g', { class: c.close >= c.open ? 'up' : 'down' },
      svg('path', { d: `M${x} ${y(c.high)}V${y(c.low)}` }),
      svg('rect', { x: x - body / 2, y: top, width: body, height: Math.max(1, bottom - top) })));
  });
  return box;
}
