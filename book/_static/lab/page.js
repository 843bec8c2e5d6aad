/** The entry: every <div class="hanq-lab" data-preset="..."> of a page becomes a laboratory. */

import { Corridor } from "./corridor.js";
import { Counterexample } from "./counterexample.js";
import { element } from "./dom.js";
import { Evidence } from "./evidence.js";
import { Laboratory } from "./laboratory.js";
import { Ledger } from "./ledger.js";
import { PRESETS } from "./presets.js";

const OTHERS = { baird: Counterexample, corridor: Corridor, evidence: Evidence, ledger: Ledger };

function mount(root) {
  const preset = root.dataset.preset ?? "laboratory";
  if (!(preset in PRESETS) && !(preset in OTHERS)) {
    console.error(`data-preset="${preset}" is unknown: use one of ${Object.keys({ ...PRESETS, ...OTHERS }).join(", ")}`);
    return; // what stands in the page for readers without JavaScript stays
  }
  if (preset in PRESETS && globalThis.hanqLab.hindrance()) return root.replaceChildren(...instead(root));
  root.hanqLab = preset in PRESETS ? new Laboratory(PRESETS[preset], preset) : new OTHERS[preset]();
  root.replaceChildren(root.hanqLab.root);
}

const ALT = "Stored runs on offline Pendulum, mean score of 30 seeds over 200,000 gradient steps: HANQ, DQN with and without a target network.";

/** What stands there where nothing can be trained: why, and stored runs as a still picture. */
function instead(root) {
  const why = `The laboratory cannot train here: ${globalThis.hanqLab.hindrance()}. The picture shows stored runs instead.`;
  const still = document.querySelector('script[src*="lab/curves.js"]').src.replace("curves.js", "still.svg");
  return [element("p", { class: "hanq-lab-status" }, why), root.querySelector("img") ?? element("img", { src: still, alt: ALT })];
}

const mountAll = () => document.querySelectorAll(".hanq-lab").forEach(mount);
if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", mountAll);
else mountAll();
