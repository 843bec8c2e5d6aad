// One agent's networks and the gradient of its loss, after hanq/reference.py, for WebAssembly: kernel.js loads it.
//
// Plain loops over the features, which the compiler makes into vectors of four floats; the order of a sum is its own.
// Parameters lie in one vector as in hanq, but for the hidden weights: a row for each input, not for each feature.

enum { MOST_FEATURES = 1024, MOST_ACTIONS = 8 };
enum { NO_NORM, LAYER_NORM, L2_NORM };
enum { NO_PREDICTOR, ONE_NUMBER, METAPREDICTOR };

// A network's structure, and where each of its parameters starts, -1 where it has none. kernel.js fills it in.
struct {
  int inputs, actions, features, predictor, main_norm, predictor_norm, norm_first;
  int hidden, hidden_bias, head, head_bias, predictor_weight, predictor_bias;
  int main_gain, main_offset, predictor_gain, predictor_offset;
} layout;

// The features of one observation as the main network or the predictor reads them, and d loss / d those.
typedef struct {
  float scale; // normalised = scale * (input - mean)
  float normalised[MOST_FEATURES], outputs[MOST_FEATURES], slopes[MOST_FEATURES];
} Path;

// What one observation makes of a network.
typedef struct {
  float scale, bias; // the predictor's
  float q[MOST_ACTIONS];
  float hidden[MOST_FEATURES]; // before the ReLU
  Path main, predictor;
} Branch;

Branch present, next; // s and s'
static float ones[MOST_FEATURES], zeros[MOST_FEATURES];

__attribute__((import_module("math"), import_name("exp"))) double exponential(double);

static float above(float x, float floor) { return x < floor ? floor : x; } // NaN stays NaN

static float dot(const float *a, const float *b) {
  float sum = 0;
  for (int f = 0; f < layout.features; f++) sum += a[f] * b[f];
  return sum;
}

// The ReLU is a floor of 0 before the norm, or after it.
static float floor_before(void) { return layout.norm_first ? -__builtin_inff() : 0; }
static float floor_after(void) { return layout.norm_first ? 0 : -__builtin_inff(); }

static void path_forward(Path *restrict path, int norm, const float *restrict gain, const float *restrict offset,
                         const float *restrict hidden) {
  const int n = layout.features;
  const float before = floor_before(), after = floor_after();
  float mean = 0, squares = 0;
  path->scale = 1;
  if (norm == LAYER_NORM) {
    for (int f = 0; f < n; f++) mean += above(hidden[f], before);
    mean /= n;
  }
  if (norm != NO_NORM)
    for (int f = 0; f < n; f++) squares += (above(hidden[f], before) - mean) * (above(hidden[f], before) - mean);
  if (norm == LAYER_NORM) path->scale = 1 / __builtin_sqrtf(squares / n + 1e-5f);
  if (norm == L2_NORM) path->scale = 1 / above(__builtin_sqrtf(squares), 1e-12f);
  const float scale = path->scale;
  for (int f = 0; f < n; f++) {
    const float normalised = (above(hidden[f], before) - mean) * scale;
    path->normalised[f] = normalised;
    path->outputs[f] = above(normalised * gain[f] + offset[f], after);
  }
}

// One head's part of d loss / d outputs, into path->slopes or added to it, and its weights' gradient.
static void head_backward(Path *restrict path, int add, float slope, const float *restrict weights, float *restrict gradient) {
  for (int f = 0; f < layout.features; f++) {
    gradient[f] += slope * path->outputs[f];
    path->slopes[f] = slope * weights[f] + (add ? path->slopes[f] : 0);
  }
}

// From path->slopes to d loss / d hidden, and the gradient of a LayerNorm's gain and offset where there are any (not null).
static void path_backward(Path *restrict path, int add, int norm, const float *restrict gain, const float *restrict hidden,
                          float *restrict hidden_slopes, float *restrict gain_gradient, float *restrict offset_gradient) {
  const int n = layout.features;
  const float before = floor_before(), after = floor_after(), scale = path->scale;
  float sum = 0, along = 0;
  if (layout.norm_first)
    for (int f = 0; f < n; f++) path->slopes[f] = path->outputs[f] > after ? path->slopes[f] : 0;
  if (gain_gradient)
    for (int f = 0; f < n; f++) {
      gain_gradient[f] += path->slopes[f] * path->normalised[f];
      offset_gradient[f] += path->slopes[f];
    }
  for (int f = 0; f < n; f++) {
    path->slopes[f] *= gain[f];
    sum += path->slopes[f];
    along += path->slopes[f] * path->normalised[f];
  }
  const int constant = norm == NO_NORM || (norm == L2_NORM && scale >= 1e12f); // a length so small counts as constant
  const float mean = norm == LAYER_NORM ? sum / n : 0, share = norm == LAYER_NORM ? along / n : constant ? 0 : along;
  for (int f = 0; f < n; f++) {
    const float slope = scale * (path->slopes[f] - mean - path->normalised[f] * share);
    hidden_slopes[f] = (hidden[f] > before ? slope : 0) + (add ? hidden_slopes[f] : 0);
  }
}

static const float *gain_of(const float *params, int place) { return place < 0 ? ones : params + place; }
static const float *offset_of(const float *params, int place) { return place < 0 ? zeros : params + place; }
static float *gradient_of(float *gradient, int place) { return place < 0 ? 0 : gradient + place; }

// Q(s, a) of every action.
void forward(Branch *restrict branch, const float *restrict params, const float *restrict observation) {
  const int n = layout.features;
  const float *restrict rows = params + layout.hidden, *restrict bias = params + layout.hidden_bias;
  const float x = observation[0], y = observation[1], z = observation[2]; // at once, for the pendulum has no more
  float *restrict hidden = branch->hidden;
  for (int f = 0; f < n; f++) hidden[f] = bias[f] + x * rows[f] + y * rows[n + f] + z * rows[2 * n + f];
  for (int i = 3; i < layout.inputs; i++)
    for (int f = 0; f < n; f++) hidden[f] += observation[i] * rows[i * n + f];
  const float *gain = gain_of(params, layout.main_gain), *offset = offset_of(params, layout.main_offset);
  path_forward(&branch->main, layout.main_norm, gain, offset, hidden);
  for (int a = 0; a < layout.actions; a++)
    branch->q[a] = dot(params + layout.head + a * n, branch->main.outputs) + params[layout.head_bias + a];
}

// The predictor's scale and bias for the observation that `forward` has seen.
void predict(Branch *branch, const float *params) {
  const float *weights = params + layout.predictor_weight, *biases = params + layout.predictor_bias;
  branch->scale = layout.predictor == ONE_NUMBER ? biases[0] : 1;
  branch->bias = 0;
  if (layout.predictor != METAPREDICTOR) return;
  const float *gain = gain_of(params, layout.predictor_gain), *offset = offset_of(params, layout.predictor_offset);
  path_forward(&branch->predictor, layout.predictor_norm, gain, offset, branch->hidden);
  branch->scale = exponential(dot(weights, branch->predictor.outputs) + biases[0]);
  branch->bias = dot(weights + layout.features, branch->predictor.outputs) + biases[1];
}

// The best action, the first of equals; one whose value is NaN where there is one.
int best(const Branch *branch) {
  int found = 0;
  for (int a = 0; a < layout.actions; a++) {
    if (branch->q[a] != branch->q[a]) return a;
    if (branch->q[a] > branch->q[found]) found = a;
  }
  return found;
}

// Add the derivative of slope * (scale * Q(s, action) + bias), or of slope * Q(s, action) if not `predicted`, to `gradient`.
static void backward(Branch *restrict branch, const float *restrict params, const float *restrict observation, int action,
                     float slope, int predicted, float *restrict gradient) {
  const int n = layout.features;
  static float slopes[MOST_FEATURES]; // d loss / d hidden
  const float of_q = predicted ? slope * branch->scale : slope, of_scale = slope * branch->q[action];
  head_backward(&branch->main, 0, of_q, params + layout.head + action * n, gradient + layout.head + action * n);
  gradient[layout.head_bias + action] += of_q;
  path_backward(&branch->main, 0, layout.main_norm, gain_of(params, layout.main_gain), branch->hidden, slopes,
                gradient_of(gradient, layout.main_gain), gradient_of(gradient, layout.main_offset));
  if (predicted && layout.predictor == ONE_NUMBER) gradient[layout.predictor_bias] += of_scale;
  if (predicted && layout.predictor == METAPREDICTOR) {
    const float *weights = params + layout.predictor_weight, of_log_scale = of_scale * branch->scale;
    float *weights_gradient = gradient + layout.predictor_weight;
    head_backward(&branch->predictor, 0, of_log_scale, weights, weights_gradient);
    head_backward(&branch->predictor, 1, slope, weights + n, weights_gradient + n);
    gradient[layout.predictor_bias] += of_log_scale;
    gradient[layout.predictor_bias + 1] += slope;
    path_backward(&branch->predictor, 1, layout.predictor_norm, gain_of(params, layout.predictor_gain), branch->hidden, slopes,
                  gradient_of(gradient, layout.predictor_gain), gradient_of(gradient, layout.predictor_offset));
  }
  float *restrict rows = gradient + layout.hidden, *restrict bias = gradient + layout.hidden_bias;
  const float x = observation[0], y = observation[1], z = observation[2];
  for (int f = 0; f < n; f++) {
    bias[f] += slopes[f];
    rows[f] += x * slopes[f];
    rows[n + f] += y * slopes[f];
    rows[2 * n + f] += z * slopes[f];
  }
  for (int i = 3; i < layout.inputs; i++)
    for (int f = 0; f < n; f++) rows[i * n + f] += observation[i] * slopes[f];
}

// Add a minibatch's mean squared Bellman error, differentiated by `params`, to `gradient`: the semi-gradient. If `residual`, add
// what it gives differentiated by `next_params` to `next_gradient`: with the former, the residual gradient (section 12).
void differentiate(const float *params, const float *next_params, int batch, const int *indices, const float *observations,
                   const int *actions, const float *rewards, const float *next_observations, const unsigned char *terminated,
                   float discount, float *gradient, int residual, float *next_gradient) {
  for (int row = 0; row < batch; row++) {
    const int i = indices[row], at = i * layout.inputs;
    const float continues = terminated[i] ? 0 : discount;
    forward(&next, next_params, next_observations + at);
    const int greedy = best(&next);
    forward(&present, params, observations + at);
    predict(&present, params);
    const float predicted = present.scale * present.q[actions[i]] + present.bias;
    const float slope = 2 * (predicted - (rewards[i] + continues * next.q[greedy])) / batch;
    backward(&present, params, observations + at, actions[i], slope, 1, gradient);
    if (residual) backward(&next, next_params, next_observations + at, greedy, -continues * slope, 0, next_gradient);
  }
}

// Once, before anything else.
void prepare(void) {
  for (int f = 0; f < MOST_FEATURES; f++) ones[f] = 1;
}
