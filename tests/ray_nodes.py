"""A cluster of several nodes on one machine, for tests."""

from __future__ import annotations

import random
import signal


class Nodes:
    """Nodes, which can be killed and replaced; `close` ends all.  The driver is not on them."""

    def __init__(self, count: int, cores: int = 1) -> None:
        from ray.cluster_utils import Cluster

        self._on_sigterm = signal.getsignal(signal.SIGTERM)
        head = {"num_cpus": 0, "include_dashboard": False}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self.address = self._cluster.address
        self._cores = cores
        self._nodes = [self._cluster.add_node(num_cpus=cores) for _ in range(count)]

    def replace(self, chance: random.Random) -> None:
        """Kill a node as a power cut does, and start another."""
        node = self._nodes.pop(chance.randrange(len(self._nodes)))
        self._cluster.remove_node(node, allow_graceful=False)
        self._nodes.append(self._cluster.add_node(num_cpus=self._cores))

    def close(self) -> None:
        self._cluster.shutdown()
        # Each node has installed a handler of its own, which would outlive it in later tests.
        signal.signal(signal.SIGTERM, self._on_sigterm)
