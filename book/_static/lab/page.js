/** The entry: every <div class="hanq-lab" data-preset="..."> of a page becomes a laboratory. */

import { Baird } from "./counterexample.js";
import { Corridor } from "./corridor.js";
import { Laboratory } from "./laboratory.js";
import { PRESETS } from "./presets.js";

function mount(root) {
  const preset = root.dataset.preset ?? "laboratory";
  const parts = { baird: () => new Baird(), corridor: () => new Corridor() }[preset] ?? (() => new Laboratory(PRESETS[preset], preset));
  if (!(preset in PRESETS) && preset !== "baird" && preset !== "corridor") {
    console.error(`data-preset="${preset}" is unknown: use one of baird, corridor, ${Object.keys(PRESETS).join(", ")}`);
    return; // the still picture stays
  }
  const made = parts();
  root.replaceChildren(made.root);
  root.hanqLab = made;
}

const mountAll = () => document.querySelectorAll(".hanq-lab").forEach(mount);
if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", mountAll);
else mountAll();
