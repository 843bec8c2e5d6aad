"""The fast engine on a CPU: `reference.step` as one compiled loop an agent.

Read it in this order:

1. `engine`: a gradient step from its parts, and the agents on their threads.
2. `passes`: how an agent's parameters lie in one matrix (`Structure`), and a minibatch's way forward through them.
3. `backward`: from the errors of the Q-values back to the gradient of every parameter.
4. `optimiser`: Adam on the weights and on the learning rate, and the target network's step.
5. `kernels` and `dense`: the loops that cost time; `vector`: the type of sixteen numbers in which they are written.
6. `memory`: what all of these read and write.
"""

from hanq.engines.fused.engine import FusedEngine, train_agent

__all__ = ["FusedEngine", "train_agent"]
