// The chart: history, fan, single paths, and what then came.

import { CandlestickSeries, LineStyle, createChart } from './lib/lightweight-charts.mjs';
import { colour } from './dom.js';
import { FanView, fanItems } from './fan.js';
import { date, isDaily, price, priceDigits } from './format.js';

const seconds = (time) => Date.parse(time) / 1000;
const bar = ({ open, high, low, close }, time) => ({ time, open, high, low, close });

// someShown is how many paths are drawn at once, where that is asked for.
const someShown = 48;

export class Chart {
  onhover = () => {}; // of {history: candle} or {step, price, path} or null
  #chart;
  #history;
  #realised;
  #fans = {}; // series by name
  #closes = null; // of single paths
  #origin = 0; // index of the last known candle
  #interval = '1d';
  #candles = [];
  #steps = 0;
  #horizon = 0;
  #pinned = -1;
  #marked = -1;

  constructor(container) {
    this.#chart = createChart(container, {
      autoSize: true,
      layout: { attributionLogo: false, fontFamily: getComputedStyle(document.body).fontFamily, fontSize: 11 },
      rightPriceScale: { scaleMargins: { top: 0.08, bottom: 0.06 } },
      timeScale: { minBarSpacing: 0.2, shiftVisibleRangeOnNewBar: false, fixLeftEdge: true, tickMarkMaxCharacterLength: 10 },
      crosshair: { mode: 0 },
      localization: { timeFormatter: (t) => date(t * 1000, this.#interval) },
      handleScroll: { vertTouchDrag: false },
    });
    const quiet = { lastValueVisible: false, priceLineVisible: false };
    this.#history = this.#chart.addSeries(CandlestickSeries, { ...quiet, borderVisible: false });
    for (const name of ['model', 'versus', 'scenario']) {
      this.#fans[name] = this.#chart.addCustomSeries(new FanView(), { ...quiet, outlined: name !== 'model' });
    }
    this.#realised = this.#chart.addSeries(CandlestickSeries, { ...quiet, borderVisible: true });
    this.#chart.subscribeCrosshairMove((event) => this.#hover(event));
    this.#chart.subscribeClick(() => this.pin(this.#pinned >= 0 ? -1 : this.#marked));
    this.paint();
  }

  // paint takes the colours of the theme.
  paint() {
    const [ink, muted, line, ground, up, down] = ['ink', 'muted', 'line', 'ground', 'up', 'down'].map(colour);
    const cross = { color: muted, labelBackgroundColor: colour('label'), style: LineStyle.Dotted };
    this.#chart.applyOptions({
      layout: { background: { color: ground }, textColor: muted },
      grid: { vertLines: { color: colour('grid') }, horzLines: { color: colour('grid') } },
      rightPriceScale: { borderColor: line },
      timeScale: { borderColor: line },
      crosshair: { vertLine: cross, horzLine: cross },
    });
    this.#history.applyOptions({ upColor: up, downColor: down, wickUpColor: up, wickDownColor: down });
    this.#realised.applyOptions({
      upColor: ground, downColor: ink, borderUpColor: ink, borderDownColor: ink, wickUpColor: ink, wickDownColor: ink,
    });
    for (const [name, variable] of [['model', 'accent'], ['versus', 'other'], ['scenario', 'what-if']]) {
      this.#fans[name].applyOptions({ colour: colour(variable), ink, muted });
    }
  }

  // setHistory shows what is known, and makes room for the future.
  setHistory({ candles, known, interval }, horizon) {
    this.#interval = interval;
    this.#candles = candles.slice(0, known);
    const last = this.#candles[known - 1];
    const digits = priceDigits(last.close);
    this.#chart.applyOptions({ timeScale: { timeVisible: !isDaily(interval), secondsVisible: false } });
    this.clear();
    this.#history.applyOptions({ priceFormat: { type: 'custom', minMove: 10 ** -digits, formatter: (x) => price(x, last.close) } });
    this.#history.setData(this.#candles.map((c) => bar(c, c.at / 1000)));
    this.#origin = known - 1;
    this.zoom(horizon);
  }

  // zoom shows the horizon, and more of the past where there is room.
  zoom(horizon) {
    this.#horizon = horizon;
    const bars = Math.round(this.#chart.timeScale().width() / 7.5);
    const past = Math.max(1.2 * horizon, bars - horizon, 20);
    this.#chart.timeScale().setVisibleLogicalRange({ from: this.#origin - past, to: this.#origin + horizon + 2 });
    this.#chart.priceScale('right').setAutoScale(true);
  }

  // setFan shows a fan of bands that begins where the history ends.
  setFan(name, bands, closes = null) {
    const last = this.#candles[this.#origin];
    this.#fans[name].setData(fanItems(last.at / 1000, last.close, bands, closes));
    if (name !== 'model') return;
    this.#steps = bands.length;
    this.#closes = closes;
  }

  removeFan(name) { this.#fans[name].setData([]); }

  // setRealised draws what came at the places of the steps: the i-th candle at the
  // i-th step, even where a calendar had it on another day.
  setRealised(candles, steps) {
    this.#realised.setData(candles.slice(0, steps.length).map((c, i) => bar(c, seconds(steps[i].time))));
  }

  // begin makes room for a forecast of a horizon.
  begin(horizon) {
    this.clear();
    if (horizon === this.#horizon) return;
    this.zoom(horizon);
  }

  // clear takes away all but the history.
  clear() {
    for (const name of Object.keys(this.#fans)) this.removeFan(name);
    this.#realised.setData([]);
    this.#closes = null;
    this.#steps = 0;
    this.pin(-1);
  }

  // showPaths draws some of the paths, or none.
  showPaths(shown) {
    this.#fans.model.applyOptions({ shownPaths: shown ? someShown : 0 });
  }

  // pin keeps a path marked; -1 lets it go.
  pin(path) {
    this.#pinned = path;
    this.#mark(path);
  }
  get pinned() { return this.#pinned; }
  get paths() { return this.#closes?.length ?? 0; }

  #mark(path) {
    if (this.#marked === path) return;
    this.#marked = path;
    this.#fans.model.applyOptions({ marked: path });
  }

  #hover({ logical, point }) {
    if (logical === undefined || !point) {
      this.#mark(this.#pinned);
      this.onhover(null);
      return;
    }
    const step = logical - this.#origin;
    if (step < 1 || step > this.#steps) {
      this.#mark(this.#pinned);
      this.onhover(step < 1 && this.#candles[logical] ? { candle: this.#candles[logical], before: this.#candles[logical - 1] } : null);
      return;
    }
    if (this.#closes && this.#pinned < 0) this.#mark(this.#nearest(step, this.#history.coordinateToPrice(point.y)));
    const path = this.#marked;
    this.onhover({ step, path, close: path >= 0 && this.#closes ? this.#closes[path][step - 1] : null });
  }

  // #nearest is the path that closes nearest to a price at a step, or -1 where none
  // of them comes near.
  #nearest(step, wanted) {
    const at = this.#closes.map((path) => path[step - 1]);
    const [low, high] = [Math.min(...at), Math.max(...at)];
    const slack = 0.03 * (high - low);
    if (wanted < low - slack || wanted > high + slack) return -1;
    let best = 0;
    at.forEach((close, i) => { if (Math.abs(close - wanted) < Math.abs(at[best] - wanted)) best = i; });
    return best;
  }
}
