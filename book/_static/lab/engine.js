// All that the laboratory's page uses of the engine; book/_ext/lab.py makes one script of it, which defines `hanqLab`.

export { ALGORITHMS, createAgent, ENVIRONMENTS, LEARNING_RATES } from "./agent.js";
export { createBaird } from "./baird.js";
export { hindrance } from "./kernel.js";
export { serve, startWorker } from "./worker.js";
