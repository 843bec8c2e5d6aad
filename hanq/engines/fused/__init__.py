"""The fast CPU engine: `reference.step` as one compiled loop per agent.

Read it in this order:

1. `engine`: a gradient step, composed of its parts, and the distribution of agents over threads.
2. `structure`: how an agent's parameters are arranged in one matrix. `passes`: the forward pass of a minibatch.
3. `backward`: the backward pass, from the errors of the Q-values to the gradient of every parameter.
4. `optimiser`: Adam for the weights and for the learning rate, and the update of the target network.
5. `kernels` and `dense`: the loops in which the time is spent. `vector`: the vector type in which they are written.
6. `memory`: the arrays that all of these read and write.

The memory of one agent, with features and minibatch padded to multiples of sixteen:

    parameters, one matrix          features ->         one minibatch, a `Branch`         rows of the minibatch ->
      weights of each input      | ................ |     observations, one row each   | ................ |
      hidden biases              | ................ |     heads: Q of each action      | ................ |
      heads of the actions       | ................ |     heads of the metapredictor   | ................ |
      heads of the metapredictor | ................ |     moments, norms, factors      | ................ |
      LayerNorms: gain, offset   | ................ |
      the heads' biases          | ..               |

There are nine such matrices (weights, target network, Adam's two moments and its direction, three gradients, and the part of the
target network that float32 would lose) and two branches, for s and s'. Hidden features are not stored at all. The forward pass
computes one feature of several rows at a time, uses it and discards it; the backward pass computes them again, several features
of one row at a time. With a second hidden layer, or with wide observations, a matrix product computes the pre-activations first
(`dense`). Binary screens have a convolution below, and their own way through both (`screens`).
"""

from hanq.engines.fused.engine import MOST_ACTIONS, FusedEngine, train_agent

__all__ = ["MOST_ACTIONS", "FusedEngine", "train_agent"]
