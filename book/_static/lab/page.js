/** The entry: every <div class="hanq-lab" data-preset="..."> of a page becomes a laboratory. */

import { Corridor } from "./corridor.js";
import { Counterexample } from "./counterexample.js";
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
  root.hanqLab = preset in PRESETS ? new Laboratory(PRESETS[preset], preset) : new OTHERS[preset]();
  root.replaceChildren(root.hanqLab.root);
}

const mountAll = () => document.querySelectorAll(".hanq-lab").forEach(mount);
if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", mountAll);
else mountAll();
