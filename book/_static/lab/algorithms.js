/** The algorithms that a reader can pick, by name or by their parts, with the book's colours and committed curves. */

/** Name -> parts, in the order of the list. The names are those of the book's figures. */
export function named() {
  const { DQN, SSAQ, SSANQ, HANQ, ...others } = globalThis.hanqLab.ALGORITHMS;
  return {
    HANQ: { ...HANQ, hyperLr: 0.1 },
    DQN: { ...DQN, targetRate: 1e-3 },
    "DQN, no target": { ...DQN, targetRate: null },
    "DQN-LN": { ...others["DQN-LN"], targetRate: 1e-3 },
    "DQN-l2N": { ...others["DQN-l2N"], targetRate: 1e-3 },
    SSAQ: { ...SSAQ, targetRate: null },
    SSANQ: { ...SSANQ, targetRate: null },
    HSSAQ: { ...SSAQ, targetRate: null, hyperLr: 1e-4 },
  };
}

const NAMES_OF_PARTS = ["predictor", "mainNorm", "predictorNorm", "targetRate", "hyperLr"];

/** What a reader may choose for each part: [value, what it is called]. */
export const CHOICES = {
  predictor: [["none", "none"], ["one number", "one number"], ["metapredictor", "metapredictor"]],
  mainNorm: [["none", "none"], ["LayerNorm", "LayerNorm"], ["l2", "ℓ2"]],
  predictorNorm: [["none", "none"], ["LayerNorm", "LayerNorm"], ["l2", "ℓ2"]],
  targetRate: [[null, "no target network"], [0.1, "β = 0.1"], [0.01, "β = 0.01"], [0.001, "β = 0.001"], [0.0001, "β = 0.0001"]],
  hyperLr: [[0, "fixed, κ = 0"], [1e-4, "κ = 0.0001"], [1e-3, "κ = 0.001"], [1e-2, "κ = 0.01"], [0.1, "κ = 0.1"]],
};

export const LABELS = {
  predictor: "Predictor",
  mainNorm: "Norm of the main path",
  predictorNorm: "Norm of the predictor's path",
  targetRate: "Target network",
  hyperLr: "Learning rate",
};

/** Only a metapredictor has a path of its own that a norm can stand on. */
const counts = (parts, part) => part !== "predictorNorm" || parts.predictor === "metapredictor";

export const sameParts = (a, b) => NAMES_OF_PARTS.every((part) => a[part] === b[part] || (!counts(a, part) && !counts(b, part)));

/** The name of an algorithm, or null where the book has none for these parts. */
export const nameOf = (parts) => Object.entries(named()).find(([, other]) => sameParts(parts, other))?.[0] ?? null;

/** An algorithm in words: its name, or its parts. */
export function describe(parts) {
  const name = nameOf(parts);
  if (name) return name;
  const chosen = Object.entries(CHOICES).map(([part, choices]) => [part, choices.find(([value]) => value === parts[part])?.[1] ?? parts[part]]);
  const words = Object.fromEntries(chosen);
  const norms = counts(parts, "predictorNorm") ? `norms ${words.mainNorm} and, for the predictor, ${words.predictorNorm}` : `norm ${words.mainNorm}`;
  return `predictor ${words.predictor}; ${norms}; ${words.targetRate}; ${words.hyperLr}`;
}

/** How an algorithm is called in the charts: its name, or that it is the reader's own. */
export const title = (parts) => nameOf(parts) ?? "Your algorithm";

/** The book's colour of an algorithm, lightened in dark mode; the colour of the text for one that the book does not name. */
export const colour = (parts) => {
  const found = globalThis.hanqLabCurves.colours[nameOf(parts)];
  return found ? `color-mix(in oklab, ${found}, white var(--hanq-lab-lighten))` : "var(--hanq-lab-text)";
};

/** The committed curves of an algorithm: one for each learning rate that the book trained it at. */
export const committed = (parts) => globalThis.hanqLabCurves.curves.filter((curve) => sameParts(curve.parts, parts));

/** The committed curve at one learning rate, or undefined. */
export const ghost = (parts, exponent) => committed(parts).find((curve) => Math.abs(Math.log10(curve.learningRate) - exponent) < 1e-6);

/** The paper's learning rate at which an algorithm scored best in the committed runs, as an exponent of ten; null without any. */
export function bestRate(parts) {
  const average = ({ mean }) => mean.reduce((sum, score) => sum + score, 0) / mean.length;
  const exponents = committed(parts).map((curve) => [Number(Math.log10(curve.learningRate).toFixed(6)), average(curve)]);
  const offered = exponents.filter(([exponent]) => EXPONENTS.includes(exponent)).sort((a, b) => b[1] - a[1]);
  return offered.length ? offered[0][0] : null;
}

/** The paper's seven learning rates, as exponents of ten, from small to large. */
export const EXPONENTS = [-4, -3.5, -3, -2.5, -2, -1.5, -1];
