"""The fast engine on a CPU: `reference.step` as one compiled loop an agent.

Read it in this order:

1. `engine`: a gradient step from its parts, and the agents on their threads.
2. `passes`: how an agent's parameters lie in one matrix (`Structure`), and a minibatch's way forward through them.
3. `backward`: from the errors of the Q-values back to the gradient of every parameter.
4. `optimiser`: Adam on the weights and on the learning rate, and the target network's step.
5. `kernels` and `dense`: the loops that cost time; `vector`: the type of sixteen numbers in which they are written.
6. `memory`: what all of these read and write.

One agent's memory, with features and minibatch padded to whole vectors of sixteen:

    parameters, one matrix          features ->         one minibatch, a `Branch`         rows of the minibatch ->
      weights of each input      | ................ |     observations, one row each   | ................ |
      hidden biases              | ................ |     heads: Q of each action      | ................ |
      heads of the actions       | ................ |     heads of the metapredictor   | ................ |
      heads of the metapredictor | ................ |     moments, norms, factors      | ................ |
      LayerNorms: gain, offset   | ................ |
      the heads' biases          | ..               |

There are nine such matrices (weights, target network, both of Adam's moments, its direction, three gradients, and the part of
the target that float32 loses) and two branches, for s and s'. Hidden features are in neither: a loop over features makes sixteen
rows' worth of one feature, uses it, and forgets it; the way back makes them anew, sixteen features of one row at a time. With a
second hidden layer, or with wide observations, a matrix product makes the pre-activations first (`dense`).
"""

from hanq.engines.fused.engine import MOST_ACTIONS, FusedEngine, train_agent

__all__ = ["MOST_ACTIONS", "FusedEngine", "train_agent"]
