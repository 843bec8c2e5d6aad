/** The laboratories of the chapters: what each asks, and the settings that answer it. */

import { short, whole } from "./dom.js";

/** Index of the lower of two numbers, 2 where both are infinite, or null for any other tie. */
const lower = ([a, b]) => (a < b ? 0 : b < a ? 1 : a === Infinity ? 2 : null);

/** Which agent's score passes a level first. */
const passesFirst = (level) => (agents) => {
  const at = agents.map(({ points }) => points.find(({ score }) => score > level)?.gradientStep ?? Infinity);
  const words = agents.map(({ label }, i) => `${label} ${at[i] === Infinity ? `did not pass ${level}` : `passed ${level} at step ${whole(at[i])}`}`);
  return { answer: lower(at), words: words.join("; ") };
};

const WINDOW = 10; // evaluations: one alone is ten episodes, and noisy

/** Which agent first loses half of the best that its score was, as a mean of WINDOW evaluations, once that was `least` or more. */
const fallsFirst = (least) => (agents) => {
  const at = agents.map(({ points }) => {
    let best = -Infinity;
    for (let i = WINDOW; i <= points.length; i++) {
      const mean = points.slice(i - WINDOW, i).reduce((sum, { score }) => sum + score, 0) / WINDOW;
      best = Math.max(best, mean);
      if (best >= least && mean < best / 2) return points[i - 1].gradientStep;
    }
    return Infinity;
  });
  const words = agents.map(({ label }, i) => `${label} ${at[i] === Infinity ? "did not fall" : `had lost half of its best by step ${whole(at[i])}`}`);
  return { answer: lower(at), words: words.join("; ") };
};

/** How many times the first agent's learning rate is the second's at the end: over `factor`, within it, or under 1 / factor. */
const apart = (factor) => (agents) => {
  const ends = agents.map(({ points }) => points.at(-1).learningRate);
  const words = agents.map(({ label }, i) => `${label} ended at ${short(ends[i])}`);
  const ratio = ends[0] / ends[1];
  if (!Number.isFinite(ratio)) return { answer: null, words: words.join("; ") };
  return { answer: ratio > factor ? 0 : ratio * factor >= 1 ? 1 : 2, words: words.join("; ") };
};

/** Which agent's score is higher, averaged over the run; less than `margin` apart counts as equal. */
const averagesHigher = (margin) => (agents) => {
  const means = agents.map(({ points }) => points.reduce((sum, { score }) => sum + score, 0) / points.length);
  const words = agents.map(({ label }, i) => `${label} scored ${short(means[i])} on average`);
  return { answer: Math.abs(means[0] - means[1]) < margin ? 2 : means[0] > means[1] ? 0 : 1, words: words.join("; ") };
};

/**
 * agents: [name of `named()`, exponent of the learning rate], one or two. until: gradient steps. charts: which, by measure.
 * question and choices: what to predict; verdict: (agents with their points) -> {answer: which choice was right, or null for none, words: what was seen}.
 */
export const PRESETS = {
  laboratory: {
    title: "Laboratory",
    agents: [["HANQ", -1.5], ["DQN", -2.5]],
    until: 20_000,
    charts: ["score", "scale", "learningRate", "bellmanError"],
    views: true,
    address: true,
  },
  race: {
    title: "HANQ against DQN",
    question: "HANQ has no target network, DQN has one. Which passes a score of 80 first?",
    choices: ["HANQ", "DQN", "Neither, in so few steps"],
    agents: [["HANQ", -1.5], ["DQN", -2.5]],
    until: 20_000,
    charts: ["score", "bellmanError"],
    views: true,
    verdict: passesFirst(80),
  },
  collapse: {
    title: "With and without a target network",
    question: "The same DQN twice, on the same data: with a target network and without. Which averages the higher score?",
    choices: ["With", "Without", "Less than 5 points apart"],
    agents: [["DQN", -2.5], ["DQN, no target", -2.5]],
    until: 20_000,
    charts: ["score", "bellmanError"],
    views: false,
    verdict: averagesHigher(5),
  },
  asymmetry: {
    title: "One number on one side",
    question: "Neither has a target network. SSAQ multiplies Q(s, a) by one learned number. Which averages the higher score?",
    choices: ["SSAQ", "DQN, no target", "Less than 5 points apart"],
    agents: [["SSAQ", -2.5], ["DQN, no target", -2.5]],
    until: 10_000,
    charts: ["score", "scale"],
    views: false,
    verdict: averagesHigher(5),
  },
  normalization: {
    title: "With and without LayerNorm",
    question: "A learning rate of 10⁻² is large for both, and the only difference is LayerNorm. Which will fall first?",
    choices: ["SSAQ", "SSANQ, which has LayerNorm", "Neither"],
    agents: [["SSAQ", -2], ["SSANQ", -2]],
    until: 10_000,
    charts: ["score", "bellmanError"],
    views: false,
    verdict: fallsFirst(40),
  },
  hypergradients: {
    title: "The learning rate that falls by itself",
    question: "HANQ twice, from learning rates that are a hundredfold apart. How far apart are they after 20,000 steps?",
    choices: ["Still over tenfold", "Less than tenfold", "Over tenfold, the other way round"],
    agents: [["HANQ", -1], ["HANQ", -3]],
    until: 20_000,
    charts: ["learningRate", "score"],
    views: false,
    verdict: apart(10),
  },
};
