/** What the present policy does: the pendulum that it swings, and a map of what it thinks of every angle and speed. */

import { element, newId, short } from "./dom.js";

const [WIDTH, HEIGHT, MAX_SPEED, STEP_MS] = [61, 41, 8, 50];
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const TORQUES = ["#0072B2", "#9a9a9a", "#E69F00"]; // -2, 0, 2 as in the book's film: blue, grey, orange
const VIRIDIS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
export const MAPS = { maxQ: "the highest Q-value", action: "the greedy torque", discount: "the implied discount γ / scale" };

/** A colour of the scale from dark (0) to bright (1), as [red, green, blue]. */
function viridis(share) {
  const place = Math.min(Math.max(share, 0), 1) * (VIRIDIS.length - 1);
  const i = Math.min(Math.floor(place), VIRIDIS.length - 2);
  return VIRIDIS[i].map((from, channel) => from + (place - i) * (VIRIDIS[i + 1][channel] - from));
}

const channels = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

/** A canvas as sharp as the screen, and its context in CSS pixels. */
function sharp(canvas, size) {
  const scale = devicePixelRatio || 1;
  canvas.width = canvas.height = size * scale;
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  return context;
}

export class Pendulum {
  /** ended: called when an episode has been shown. moved: called with each state on the way. */
  constructor(name, { ended, moved }) {
    Object.assign(this, { name, ended, moved, episode: null, frame: 0, timer: null });
    this.canvas = element("canvas", { class: "hanq-lab-pendulum", role: "img" });
    this.note = element("span", { class: "hanq-lab-small" });
    this.title = element("b", {}, name);
    this.root = element("div", {}, element("div", { class: "hanq-lab-caption" }, this.title, element("br"), this.note), this.canvas);
  }

  /** Nothing to show yet. name: of the agent that swings it from now on. */
  clear(name) {
    this.stop();
    this.name = name;
    this.title.textContent = `Pendulum of ${name}`;
    this.note.textContent = "not swung yet";
    this.canvas.width = 0;
    this.canvas.setAttribute("aria-label", `Pendulum of ${name}, not swung yet`);
  }

  /** Show one greedy episode; without motion, as one picture of its last five seconds. */
  show(episode) {
    this.stop();
    this.episode = episode;
    const up = episode.states.slice(-40).filter(([angle]) => Math.cos(angle) > Math.cos(0.5)).length / 40;
    const [score, share] = [short(episode.score), Math.round(100 * up)];
    this.canvas.setAttribute("aria-label", `Pendulum of ${this.name} in one greedy episode: score ${score}; upright in ${share}% of its last 2 seconds`);
    this.note.textContent = `score ${score}; in the end ${share}% upright`;
    this.frame = 0;
    if (calm.matches) this.draw(episode.states.length - 1, 100);
    else this.timer = setInterval(() => this.next(), STEP_MS);
  }

  next() {
    if (this.frame >= this.episode.states.length) {
      this.stop();
      this.ended();
      return;
    }
    this.moved(this.episode.states[this.frame]);
    this.draw(this.frame++, 8);
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
  }

  get moving() {
    return this.timer !== null;
  }

  /** The rod at one moment, and where its end was in the `trail` moments before. */
  draw(frame, trail) {
    const size = this.canvas.clientWidth || 180;
    const context = sharp(this.canvas, size);
    const ink = getComputedStyle(this.canvas).color;
    const [middle, length] = [size / 2, size * 0.4];
    const end = ([angle]) => [middle - length * Math.sin(angle), middle - length * Math.cos(angle)];
    context.strokeStyle = context.fillStyle = ink;
    for (let i = Math.max(0, frame - trail); i < frame; i++) {
      context.globalAlpha = 0.35 * ((i - frame + trail) / trail);
      context.beginPath();
      context.arc(...end(this.episode.states[i]), 3, 0, 2 * Math.PI);
      context.fill();
    }
    context.globalAlpha = 1;
    context.lineWidth = 6;
    context.lineCap = "round";
    context.beginPath();
    context.moveTo(middle, middle);
    context.lineTo(...end(this.episode.states[frame]));
    context.stroke();
    const action = this.episode.actions[Math.min(frame, this.episode.actions.length - 1)];
    context.fillStyle = TORQUES[action];
    context.beginPath();
    context.arc(middle, middle, 9, 0, 2 * Math.PI);
    context.fill();
    context.fillStyle = ink;
    context.font = "13px sans-serif";
    context.fillText(["↻", "", "↺"][action], middle + 13, middle + 5);
  }
}

export class Field {
  /** changed: called when the reader wants another map. */
  constructor(name, changed) {
    Object.assign(this, { name, image: null, state: null });
    const id = newId("map");
    const options = Object.entries(MAPS).map(([what, text]) => element("option", { value: what }, text));
    this.choice = element("select", { id, onchange: changed }, ...options);
    this.canvas = element("canvas", { class: "hanq-lab-map", role: "img" });
    this.legend = element("div", { class: "hanq-lab-small" });
    const axes = element("div", { class: "hanq-lab-small" }, "angle →, upright in the middle; speed ↑");
    this.root = element("div", {}, element("div", { class: "hanq-lab-caption" }, element("b", {}, element("label", { for: id }, "Map of")), element("br"), this.choice), this.canvas, this.legend, axes);
  }

  /** Nothing to show yet. name: of the agent whose map it is from now on. */
  clear(name) {
    Object.assign(this, { name, image: null, state: null });
    this.canvas.width = 0;
    this.canvas.setAttribute("aria-label", `Map of ${name}, not drawn yet`);
    this.legend.replaceChildren();
  }

  /** What to ask the worker for. */
  get request() {
    return { what: this.choice.value, width: WIDTH, height: HEIGHT };
  }

  show({ what, values }) {
    const finite = [...values].filter(Number.isFinite);
    const [low, high] = [Math.min(...finite), Math.max(...finite)];
    const pixels = new ImageData(WIDTH, HEIGHT);
    values.forEach((value, i) => {
      const inside = Number.isFinite(value) ? viridis((value - low) / (high - low || 1)) : [128, 128, 128];
      pixels.data.set([...(what === "action" ? channels(TORQUES[value]) : inside), 255], 4 * i);
    });
    this.image = element("canvas", { width: WIDTH, height: HEIGHT });
    this.image.getContext("2d").putImageData(pixels, 0, 0);
    this.explain(what, low, high, values);
    this.draw();
  }

  explain(what, low, high, values) {
    const swatch = (background) => element("i", { style: `background: ${background}` });
    if (what === "action") {
      this.legend.replaceChildren(swatch(TORQUES[0]), " −2 ↻ ", swatch(TORQUES[1]), " 0 ", swatch(TORQUES[2]), " 2 ↺");
      const share = (action) => Math.round((100 * values.filter((value) => value === action).length) / values.length);
      this.canvas.setAttribute("aria-label", `Map of ${this.name}: ${MAPS[what]}; −2 in ${share(0)}% of the states, 0 in ${share(1)}%, 2 in ${share(2)}%`);
    } else {
      const stops = VIRIDIS.map((rgb) => `rgb(${rgb})`).join(",");
      this.legend.replaceChildren(`${short(low)} `, element("i", { class: "ramp", style: `background: linear-gradient(90deg, ${stops})` }), ` ${short(high)}`);
      this.canvas.setAttribute("aria-label", `Map of ${this.name}: ${MAPS[what]}, from ${short(low)} to ${short(high)}`);
    }
  }

  /** Where the pendulum is now: [angle, speed]. */
  mark(state) {
    this.state = state;
    this.draw();
  }

  draw() {
    if (!this.image) return;
    const size = this.canvas.clientWidth || 180;
    const context = sharp(this.canvas, size);
    context.drawImage(this.image, 0, 0, size, size);
    if (!this.state) return;
    const angle = ((((this.state[0] + Math.PI) % (2 * Math.PI)) + 2 * Math.PI) % (2 * Math.PI)) / (2 * Math.PI);
    context.beginPath();
    context.arc(angle * size, (0.5 - this.state[1] / (2 * MAX_SPEED)) * size, 5, 0, 2 * Math.PI);
    context.fillStyle = "#fff";
    context.strokeStyle = "#000";
    context.lineWidth = 2;
    context.fill();
    context.stroke();
  }
}
