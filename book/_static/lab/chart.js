/** Lines over gradient steps, in SVG, so that they take the page's colours and sharpness. */

import { drawn, element, short, whole } from "./dom.js";

const MARGIN = { left: 46, right: 10, top: 8, bottom: 24 };

/** Round numbers from low to high, about `count` of them. */
export function ticks(low, high, count) {
  const rough = (high - low) / count;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * unit).find((size) => size >= rough) ?? unit;
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high * (1 + 1e-9); i++) found.push(Number((i * step).toPrecision(12)));
  return found;
}

/** Powers of ten within the exponents low to high, at most six. */
function powers(low, high) {
  const step = Math.ceil((high - low) / 5);
  const found = [];
  for (let exponent = Math.ceil(low / step) * step; exponent <= high; exponent += step) found.push(exponent);
  return found;
}

const compact = (value) => (Math.abs(value) >= 1000 ? `${value / 1000}k` : `${Number(value.toPrecision(6))}`.replace("-", "−"));

export class Chart {
  /**
   * title: what is measured. range: [low, high] of a measure that has a natural one; else it follows the data.
   * log: whether equal distances are equal factors. lines at `marks` help the eye. steps: what is counted along the bottom.
   */
  constructor({ title, range = null, log = false, marks = [], steps = "gradient steps" }) {
    Object.assign(this, { title, range, log, marks, steps });
    this.picture = drawn("svg", { role: "img" });
    this.readout = element("span", { class: "hanq-lab-readout" });
    this.root = element("div", { class: "hanq-lab-chart" }, element("div", { class: "hanq-lab-caption" }, element("b", {}, title), " ", this.readout), this.picture);
    this.content = { until: 1, series: [], ghosts: [] };
    this.at = null; // the step under the pointer
    this.picture.addEventListener("pointermove", (event) => this.point(event.offsetX));
    this.picture.addEventListener("pointerleave", () => this.point(null));
    new ResizeObserver(() => this.render()).observe(this.root);
  }

  /**
   * series: [{label, colour, dashed, points: [[step, value], ...]}]; ghosts: [{colour, steps, mean, low, high}];
   * faint: {colour, lines: [points, ...]}, lines in the background that have no name.
   */
  draw(content) {
    this.content = content;
    this.render();
  }

  point(offset) {
    const { until } = this.content;
    const share = offset === null ? null : (offset - MARGIN.left) / (this.width - MARGIN.left - MARGIN.right);
    this.at = share === null || share < 0 || share > 1 ? null : share * until;
    this.render();
  }

  /** Lowest and highest value of the axis, in powers of ten where the scale is logarithmic. */
  limits() {
    if (this.range) return this.range;
    const values = this.content.series.flatMap(({ points }) => points.map(([, value]) => value)).concat(this.marks);
    const usable = values.filter((value) => Number.isFinite(value) && (!this.log || value > 0)).map((value) => (this.log ? Math.log10(value) : value));
    if (!usable.length) return this.log ? [-4, 0] : [0, 1];
    const [low, high] = [Math.min(...usable), Math.max(...usable)];
    if (this.log) return [Math.floor(low), Math.max(Math.ceil(high), Math.floor(low) + 1)];
    const room = Math.max(0.06 * (high - low), 0.02 * Math.abs(high), 1e-3);
    return [low - room, high + room];
  }

  render() {
    this.width = this.picture.clientWidth || 320;
    this.height = this.picture.clientHeight || 160;
    const [low, high] = this.limits();
    const { until, series, ghosts, faint } = this.content;
    const [right, bottom] = [this.width - MARGIN.right, this.height - MARGIN.bottom];
    const x = (step) => MARGIN.left + (step / until) * (right - MARGIN.left);
    const y = (value) => {
      const place = this.log ? Math.log10(value) : value;
      return bottom - ((Math.min(Math.max(place, low), high) - low) / (high - low)) * (bottom - MARGIN.top);
    };
    const parts = [...this.axes(x, y, low, high, bottom, right), ...ghosts.flatMap((ghost) => shade(ghost, until, x, y))];
    const crowd = faint?.lines.map((points) => drawn("path", { d: path(points, x, y, this.log), style: `stroke: ${faint.colour}`, class: "faint" }));
    parts.push(...(crowd ?? []));
    for (const { colour, dashed, points } of series) {
      parts.push(drawn("path", { d: path(points, x, y, this.log), style: `stroke: ${colour}`, class: "line", "stroke-dasharray": dashed ? "6 4" : null }));
      const last = points.at(-1);
      if (last && Number.isFinite(last[1])) parts.push(drawn("circle", { cx: x(last[0]), cy: y(last[1]), r: 3, style: `fill: ${colour}` }));
    }
    if (this.at !== null) parts.push(drawn("path", { d: `M${x(this.at)},${MARGIN.top}V${bottom}`, class: "pointer" }));
    this.picture.replaceChildren(...parts);
    this.describe();
  }

  axes(x, y, low, high, bottom, right) {
    const rows = this.log ? powers(low, high).map((exponent) => [10 ** exponent, exponent]) : ticks(low, high, this.height > 180 ? 5 : 3).map((value) => [value]);
    const lines = rows.map(([value, exponent]) => [
      drawn("path", { d: `M${MARGIN.left},${y(value)}H${right}`, class: "grid" }),
      drawn("text", { x: MARGIN.left - 6, y: y(value) + 4, "text-anchor": "end" }, ...label(value, exponent)),
    ]);
    const marks = this.marks.map((value) => drawn("path", { d: `M${MARGIN.left},${y(value)}H${right}`, class: "mark" }));
    const along = ticks(0, this.content.until, this.width > 420 ? 5 : 3).map((step) =>
      drawn("text", { x: x(step), y: bottom + 17, "text-anchor": x(step) > right - 12 ? "end" : "middle" }, compact(step)),
    );
    return [...lines.flat(), ...marks, ...along];
  }

  /** The values now, or under the pointer, in the caption and for those who cannot see the lines. */
  describe() {
    const { series } = this.content;
    const shown = series.filter(({ points }) => points.length).map((one) => ({ ...one, now: this.at === null ? one.points.at(-1) : nearest(one.points, this.at) }));
    const values = shown.map(({ label: name, colour, now }) => element("span", {}, element("i", { style: `background: ${colour}` }), `${name} ${short(now[1])}`));
    const step = shown.length ? ` at ${whole(shown[0].now[0])}` : "";
    this.readout.replaceChildren(...values, ...(this.at === null ? [] : [step]));
    const words = shown.map(({ label: name, now }) => `${name}: ${short(now[1])} at step ${whole(now[0])}`).join("; ");
    this.picture.setAttribute("aria-label", `${this.title} over ${this.steps}. ${words || "Nothing has been trained yet."}`);
  }
}

function label(value, exponent) {
  if (exponent === undefined) return [compact(value)];
  return ["10", drawn("tspan", { dy: "-5", "font-size": "80%" }, String(exponent).replace("-", "−"))];
}

function nearest(points, step) {
  return points.reduce((best, point) => (Math.abs(point[0] - step) < Math.abs(best[0] - step) ? point : best));
}

/** A line through the points that can be drawn; a gap where the values are no numbers. */
function path(points, x, y, log) {
  let [text, broken] = ["", true];
  for (const [step, value] of points) {
    if (!Number.isFinite(value) || (log && value <= 0)) broken = true;
    else {
      text += `${broken ? "M" : "L"}${x(step).toFixed(1)},${y(value).toFixed(1)}`;
      broken = false;
    }
  }
  return text;
}

/** The committed runs behind the live one: their mean, and its interval as a band. */
function shade({ colour, steps, mean, low, high }, until, x, y) {
  const shown = steps.filter((step) => step <= until).length;
  const along = (values) => values.slice(0, shown).map((value, i) => `${x(steps[i]).toFixed(1)},${y(value).toFixed(1)}`);
  if (!shown) return [];
  return [
    drawn("polygon", { points: [...along(high), ...along(low).reverse()].join(" "), style: `fill: ${colour}`, class: "band" }),
    drawn("polyline", { points: along(mean).join(" "), style: `stroke: ${colour}`, class: "ghost" }),
  ];
}
