"""The backward pass: from the errors of Q-values to the gradient of every parameter."""

from hanq.data.foundations.compiling import part
from hanq.engines.fused.dense import clear_padding, turn_back
from hanq.engines.fused.kernels import FAST, heads_backward, normed_heads_backward
from hanq.engines.fused.passes import L2, inputs_backward


@part(**FAST)
def sort_by_action(structure, branch):
    """Sort the rows of the minibatch by action."""
    place = 0
    for a in range(structure.heads[0]):
        branch.starts[a] = place
        for r in range(structure.batch):
            branch.order[place] = r  # overwritten unless its action is a
            place += branch.action[r] == a
    branch.starts[structure.heads[0]] = place


@part(**FAST)
def head_errors(structure, branch, errors, predicted):
    """Compute d loss / d head of every row, into branch.deltas, from errors = d loss / d Q, (batch,)."""
    deltas, actions = branch.deltas, structure.heads[0]
    number, scale = deltas.dtype.type, branch.prediction[0]
    for k in range(actions):
        for r in range(structure.batch):
            error = errors[r] * scale[r] if predicted else errors[r]
            deltas[k, r] = error if branch.action[r] == k else number(0)
    for r in range(structure.batch):
        slope = branch.value[r] * scale[r] if structure.positive_scale else branch.value[r]
        deltas[actions, r] = errors[r] * slope if predicted else number(0)
        deltas[actions + 1, r] = errors[r] if predicted and structure.predictor_bias else number(0)


@part(**FAST)
def normaliser_backward(structure, net, branch, path, slopes, constant, multiple):
    """Compute what a path's normalisation subtracts from the gradient of each row's activations.

    It subtracts constant + multiple * activation; both, (batch,), are added to.
    """
    number, kind, all_heads = constant.dtype.type, structure.norm[path], structure.heads[0] + 2
    if kind == 0:
        return
    share = number(1) / number(structure.features if kind == 1 else 1)
    clamped = number(1) / number(L2)  # lengths below L2 are clamped, so the gradient treats them as constant
    scale, mean = branch.norms[2 * path], branch.norms[2 * path + 1]
    for k in range(structure.first_head[path], structure.first_head[path] + structure.heads[path]):
        for r in range(structure.batch):
            through = net.shifts[k] if slopes is None else slopes[k, r]
            along = branch.dots[k, r] if slopes is None else slopes[all_heads + k, r]
            slope = scale[r] * branch.deltas[k, r] * share
            if kind == 1:
                multiple[r] -= slope * scale[r] * along
                constant[r] -= slope * through - slope * scale[r] * along * mean[r]
            else:
                multiple[r] -= number(0) if scale[r] >= clamped else slope * scale[r] * along


@part(**FAST)
def unfold(structure, net, branch, path, result):
    """Convert the gradients of `heads_backward` to those of a LayerNorm and of the heads after it."""
    number, row = result.dtype.type, structure.norm_row[path]
    scale, mean = branch.norms[2 * path], branch.norms[2 * path + 1]
    gain, offset = net.affines[2 * path], net.affines[2 * path + 1]
    for k in range(structure.first_head[path], structure.first_head[path] + structure.heads[path]):
        shifted, plain = number(0), number(0)
        for r in range(structure.batch):
            shifted += scale[r] * mean[r] * branch.deltas[k, r]
            plain += branch.deltas[k, r]
        head, weights = result[structure.inputs + 1 + k], net.params[structure.inputs + 1 + k]
        for f in range(structure.features):
            normalised = head[f] - shifted
            head[f] = gain[f] * normalised + offset[f] * plain
            if row >= 0:
                result[row, f] += weights[f] * normalised
                result[row + 1, f] += weights[f] * plain


@part(**FAST)
def backward(structure, net, branch, lengths, result):
    """Compute the gradient of hidden layer, heads and norms if the norms follow the ReLU."""
    factors, scale = branch.factors, branch.norms
    factors[:3] = 0
    for k in range(structure.heads[0]):
        for r in range(structure.batch):
            factors[0, r] += scale[0, r] * branch.deltas[k, r]
    for k in range(structure.heads[1]):
        for r in range(structure.batch):
            factors[3 + k, r] = scale[2, r] * branch.deltas[structure.heads[0] + k, r]
    for path in range(1 + (len(lengths.shaping) > 0)):
        normaliser_backward(structure, net, branch, path, branch.slopes, factors[1], factors[2])
    heads_backward(
        net.params,
        branch.x_back,
        net.heads,
        factors,
        branch.order,
        branch.starts,
        lengths.inputs,
        lengths.outputs,
        lengths.shaping,
        result,
        branch.below,
    )
    for path in range(2):
        if structure.norm[path] == 1:
            unfold(structure, net, branch, path, result)


@part(**FAST)
def norm_first_backward(structure, net, branch, lengths, slopes, result):
    """Compute the gradient of hidden layer, heads and norms if the norms come before the ReLU."""
    if slopes is None:
        return
    branch.factors[:4] = 0
    for path in range(2):
        normaliser_backward(structure, net, branch, path, slopes, branch.factors[2 * path], branch.factors[2 * path + 1])
    normed_heads_backward(
        net.params,
        branch.x_back,
        structure.batch,
        net.affines,
        branch.norms,
        branch.factors,
        branch.deltas,
        0,
        0,
        structure.norm_row[0],
        True,
        lengths.inputs,
        lengths.actions,
        result,
        branch.below,
    )
    normed_heads_backward(
        net.params,
        branch.x_back,
        structure.batch,
        net.affines,
        branch.norms,
        branch.factors,
        branch.deltas,
        1,
        structure.heads[0],
        structure.norm_row[1],
        len(lengths.shaping) > 0,
        lengths.inputs,
        lengths.outputs,
        result,
        branch.below,
    )
    result[: structure.bias_row, structure.features :] = 0  # the mean of a norm leaks into the padding


@part(**FAST)
def gradient(structure, net, branch, lengths, errors, predicted, every):
    """Compute the gradient of all parameters, (rows, features), from errors = d loss / d Q, (batch,).

    predicted: whether that Q is the predictor's output.
    """
    result = every[structure.below :]
    result[:] = 0
    head_errors(structure, branch, errors, predicted)
    turn_back(branch.below, branch.x)
    if structure.norm_first:
        norm_first_backward(structure, net, branch, lengths, branch.slopes, result)
    else:
        backward(structure, net, branch, lengths, result)
    biases = result.reshape(-1)[structure.bias_row * result.shape[1] :]
    for k in range(structure.heads[0] + 2):
        for r in range(structure.batch):
            biases[k] += branch.deltas[k, r]
    clear_padding(branch.below, structure.features)
    inputs_backward(structure, net, branch, lengths, branch.torso, every[: structure.below])
