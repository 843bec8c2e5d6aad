// ReLU and normalisation of one hidden layer's features, and their derivative: one of the two paths of hanq.reference.features.

const EPSILON = { LayerNorm: 1e-5, l2: 1e-12 }; // what keeps a norm from dividing by 0; PyTorch's defaults

/** The features of one observation at a time, as the main network or the predictor reads them. */
export class Path {
  /**
   * norm: "none", "LayerNorm" or "l2". normFirst: whether it stands before the ReLU. gain, offset: LayerNorm's, views of
   * parameters, (features,); null without them.
   */
  constructor(features, norm, normFirst, gain, offset) {
    this.norm = norm;
    this.gain = gain ?? new Float64Array(features).fill(1);
    this.offset = offset ?? new Float64Array(features);
    this.floorBefore = normFirst ? -Infinity : 0; // the ReLU is a floor of 0, before the norm or after it
    this.floorAfter = normFirst ? 0 : -Infinity;
    this.scale = 1; // normalised = scale * (input - mean)
    this.normalised = new Float64Array(features);
    this.outputs = new Float64Array(features);
    this.slopes = new Float64Array(features); // d loss / d outputs, which `backward` overwrites
  }

  /** From the hidden layer's values before its ReLU to `outputs`. */
  forward(hidden) {
    const { gain, offset, floorBefore, floorAfter, normalised, outputs } = this, n = hidden.length;
    let sum = 0, squares = 0;
    for (let f = 0; f < n; f++) {
      const x = hidden[f] < floorBefore ? floorBefore : hidden[f];
      sum += x;
      squares += x * x;
    }
    const mean = this.norm === "LayerNorm" ? sum / n : 0;
    if (this.norm === "LayerNorm") this.scale = 1 / Math.sqrt(Math.max(squares / n - mean * mean, 0) + EPSILON.LayerNorm);
    else if (this.norm === "l2") this.scale = 1 / Math.max(Math.sqrt(squares), EPSILON.l2);
    const scale = this.scale;
    for (let f = 0; f < n; f++) {
      const x = hidden[f] < floorBefore ? floorBefore : hidden[f];
      const y = (x - mean) * scale;
      const output = y * gain[f] + offset[f];
      normalised[f] = y;
      outputs[f] = output < floorAfter ? floorAfter : output;
    }
  }

  /** From `slopes` to d loss / d hidden, added to `hiddenSlopes`; gain's and offset's are added where they are learned. */
  backward(hidden, hiddenSlopes, gainSlopes, offsetSlopes) {
    const { gain, floorBefore, floorAfter, normalised, outputs, slopes, scale } = this, n = hidden.length;
    if (gainSlopes) {
      for (let f = 0; f < n; f++) {
        const slope = outputs[f] > floorAfter ? slopes[f] : 0;
        gainSlopes[f] += slope * normalised[f];
        offsetSlopes[f] += slope;
      }
    }
    let sum = 0, along = 0;
    for (let f = 0; f < n; f++) {
      const slope = outputs[f] > floorAfter ? slopes[f] * gain[f] : 0;
      slopes[f] = slope;
      sum += slope;
      along += slope * normalised[f];
    }
    const layer = this.norm === "LayerNorm", clamped = this.norm === "l2" && scale >= 1 / EPSILON.l2;
    const mean = layer ? sum / n : 0, share = layer ? along / n : this.norm === "none" || clamped ? 0 : along;
    for (let f = 0; f < n; f++) {
      hiddenSlopes[f] += hidden[f] > floorBefore ? scale * (slopes[f] - mean - normalised[f] * share) : 0;
    }
  }
}
