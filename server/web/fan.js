// A fan of bands around a median, as a series of the chart, drawn on its canvas.

import { customSeriesDefaultOptions } from './lib/lightweight-charts.mjs';

// FanView draws items {time, median, bands: [[lo, hi], …] from wide to narrow} and,
// where items have them, closes of single paths. Of two fans one over the other, the
// upper is outlined; the lower has a line where the future begins.
export class FanView {
  #data = null;
  #options = null;

  renderer() { return this; }
  update(data, options) { this.#data = data; this.#options = options; }
  priceValueBuilder(item) { return [item.bands[0][0], item.bands[0][1], item.median]; }
  isWhitespace(item) { return item.bands === undefined; }
  defaultOptions() { return { ...customSeriesDefaultOptions, colour: '#888', ink: '#888', muted: '#888', outlined: false, shownPaths: 0, marked: -1 }; }

  draw(target, toY) {
    const bars = this.#data?.bars ?? [];
    if (bars.length < 2) return;
    target.useBitmapCoordinateSpace(({ context: c, horizontalPixelRatio: kx, verticalPixelRatio: ky }) => {
      const at = (value, bar) => [bar.x * kx, toY(value) * ky];
      const line = (value) => {
        c.beginPath();
        for (const bar of bars) c.lineTo(...at(value(bar.originalData), bar));
      };
      const { colour, outlined, shownPaths, marked, ink, muted } = this.#options;
      c.save();
      if (!outlined) {
        c.strokeStyle = muted;
        c.lineWidth = Math.max(1, Math.floor(kx));
        c.setLineDash([2 * ky, 3 * ky]);
        c.beginPath();
        c.moveTo(Math.round(bars[0].x * kx) + 0.5, 0);
        c.lineTo(Math.round(bars[0].x * kx) + 0.5, c.canvas.height);
        c.stroke();
        c.setLineDash([]);
      }
      c.lineJoin = 'round';
      c.fillStyle = c.strokeStyle = colour;
      bars[0].originalData.bands.forEach((_, i) => {
        c.globalAlpha = outlined ? 0.05 : 0.13;
        c.beginPath();
        for (const bar of bars) c.lineTo(...at(bar.originalData.bands[i][0], bar));
        for (const bar of bars.toReversed()) c.lineTo(...at(bar.originalData.bands[i][1], bar));
        c.fill();
        if (!outlined) return;
        c.globalAlpha = [0.55, 0.75, 0.95][i];
        c.lineWidth = ky;
        c.setLineDash([[1, 3], [3, 3], []][i].map((n) => n * kx));
        for (const side of [0, 1]) {
          line((item) => item.bands[i][side]);
          c.stroke();
        }
        c.setLineDash([]);
      });
      c.globalAlpha = 0.3;
      c.lineWidth = Math.max(1, 0.75 * ky);
      const paths = Math.min(shownPaths, bars[0].originalData.closes?.length ?? 0);
      for (let k = 0; k < paths; k++) {
        line((item) => item.closes[k]);
        c.stroke();
      }
      c.globalAlpha = 1;
      c.lineWidth = 1.75 * ky;
      line((item) => item.median);
      c.stroke();
      if (marked >= 0 && bars[0].originalData.closes) {
        c.strokeStyle = ink;
        c.lineWidth = 1.5 * ky;
        line((item) => item.closes[marked]);
        c.stroke();
      }
      c.restore();
    });
  }
}

// fanItems are the items of a fan that begins at the last known close.
export function fanItems(start, close, bands, closes) {
  const first = { time: start, median: close, bands: bands[0].bands.map(() => [close, close]) };
  const items = [first, ...bands.map((b, i) => ({ time: axisTime(b.time), median: b.median, bands: b.bands }))];
  if (closes) {
    items.forEach((item, h) => { item.closes = closes.map((path) => (h === 0 ? close : path[h - 1])); });
  }
  return items;
}

// axisTime is a time in the unit of the axis, seconds.
const axisTime = (time) => Date.parse(time) / 1000;
