"""join_timeline: each kernel that ran -> the nodes of ``graph.json`` it computes.

Runtimes fuse nodes, rename them, insert kernels of their own and expand function bodies, so:

1. A kernel that carries names of nodes has those nodes.
2. Where it computes another operator than its only node (a convolution named after the
   activation it took in), the nodes from there up to the first of that operator are its too.
3. A kernel without a name is a piece of a function body or a fusion. Of the nodes that no kernel
   is named after each function is a group, and so are others that touch; it belongs to the first
   group that can run it now: every kernel that reads from the group comes later, and all that
   feed it have run, or where there is no such group, at least one.
4. A kernel without a name or a group that only moves or views data serves its neighbour: the
   kernel after it where its name says it is an input, else the one before.
5. A node left over was fused into the kernel that feeds it, the one that ran last.

A kernel none of this places is "unknown", and its time is reported as such. A dynamic variant has
them: ``graph.json`` is of a fixed size, where what pads and crops frames is folded away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from mgdn_edge.runtime.bundle.graph_facts import GraphFacts, NodeFacts
from mgdn_edge.runtime.measure.profiling.profile_result import How
from mgdn_edge.runtime.measure.profiling.timeline import VIEW_OPERATORS, Kernel, Timeline

# Names ONNX Runtime's optimisers give to what replaces several nodes (contrib operators).
FUSIONS = frozenset(
    {"Gelu", "BiasGelu", "FastGelu", "QuickGelu", "LayerNormalization", "SkipLayerNormalization"}
)


class Part(msgspec.Struct, frozen=True):
    """Kernels that compute one thing, and the nodes it is in the graph; ``how`` they were found.

    ``module`` is the dotted path of the network's module, empty outside it.
    """

    name: str
    module: str
    operator: str
    how: How
    kernels: tuple[Kernel, ...]
    nodes: tuple[NodeFacts, ...]

    @property
    def ns(self) -> float:
        """All its kernels together."""
        return sum(kernel.ns for kernel in self.kernels)

    @property
    def is_layout(self) -> bool:
        """Whether all of it only moves data into another layout."""
        return all(kernel.is_layout for kernel in self.kernels)


def join_timeline(timeline: Timeline, facts: GraphFacts) -> list[Part]:
    """Kernels of one frame -> parts in the order of their first kernels; times add up."""
    return _Join(timeline.kernels, facts.nodes).parts()


class _Join:
    """``owner`` is the kernel a node belongs to, both by index."""

    def __init__(self, kernels: tuple[Kernel, ...], nodes: tuple[NodeFacts, ...]) -> None:
        self.kernels, self.nodes = kernels, nodes
        made = {tensor.name: i for i, node in enumerate(nodes) for tensor in node.outputs}
        self.producers = [
            [made[tensor.name] for tensor in node.inputs if tensor.name in made] for node in nodes
        ]
        self.consumers: list[list[int]] = [[] for _ in nodes]
        for i, sources in enumerate(self.producers):
            for source in sources:
                self.consumers[source].append(i)
        self.owner: dict[int, int] = {}
        self.first: dict[int, int] = {}  # kernel -> the node it is named after
        self._claim_by_name()
        self.claimed = set(self.first)
        self.group_of: dict[int, list[int]] = {}  # kernel -> nodes, rule 3
        self._claim_by_order()
        self._claim_leftovers()

    def parts(self) -> list[Part]:
        """The result; kernels of one group of rule 3 are one part."""
        members: dict[object, list[int]] = {}
        for k in range(len(self.kernels)):
            group = self.group_of.get(k)
            members.setdefault(("group", group[0]) if group else k, []).append(k)
        owned: dict[int, list[NodeFacts]] = {}
        for i, k in sorted(self.owner.items()):
            owned.setdefault(k, []).append(self.nodes[i])
        return [self._part(ks, tuple(owned.get(ks[0], ()))) for ks in members.values()]

    def _part(self, ks: list[int], owned: tuple[NodeFacts, ...]) -> Part:
        k = ks[0]
        kernel = self.kernels[k]
        kernels = tuple(self.kernels[each] for each in ks)
        if k in self.claimed:
            # FusedConv is named after its convolution, also where its name is the activation's.
            node = max(owned, key=lambda each: each.flops)
            return Part(node.name, node.module, _bare(node.operator), "name", kernels, owned)
        if k in self.group_of:
            last = self.group_of[k][-1]
            node = self.nodes[last]
            operator = _bare(node.operator) if self._is_body(last) else kernel.operator
            return Part(node.name, node.module, operator, "order", kernels, owned)
        neighbour = self._neighbour(k)
        if neighbour is None:
            return Part(kernel.name, "", kernel.operator, "unknown", kernels, ())
        module = self.nodes[self.first[neighbour]].module
        return Part(kernel.name, module, kernel.operator, "order", kernels, ())

    def _claim_by_name(self) -> None:
        index = {node.name: i for i, node in enumerate(self.nodes)}
        for k, kernel in enumerate(self.kernels):
            found = [index[name] for name in kernel.nodes if name in index]
            for first, last in kernel.ranges:
                if first in index and last in index:
                    found += range(index[first], index[last] + 1)
            fresh = [i for i in found if i not in self.owner]
            if not fresh:
                continue
            self.first[k] = fresh[0]
            self.owner.update(dict.fromkeys(fresh, k))
        for k, i in self.first.items():
            if list(self.owner.values()).count(k) == 1:
                for each in self._path_up(i, self.kernels[k].operator):
                    self.owner[each] = k

    def _path_up(self, start: int, operator: str) -> list[int]:
        """Nodes without a kernel from above ``start`` to the nearest of ``operator``, or none."""
        if _matches(self.nodes[start], operator):
            return []
        paths = [[start]]
        for path in paths:  # grows while it is read: breadth first
            for source in self.producers[path[-1]]:
                if source in self.owner:
                    continue
                if _matches(self.nodes[source], operator):
                    return [*path[1:], source]
                paths.append([*path, source])
        return []

    def _claim_by_order(self) -> None:
        groups = self._groups()
        for k, kernel in enumerate(self.kernels):
            if k in self.claimed or kernel.operator.startswith("Reorder"):
                continue
            fitting = [group for group in groups if self._may_run(group, k)]
            fed = [group for group in fitting if self._is_fed(group, k, all)]
            if not fed and not _only_moves(kernel):
                fed = [group for group in fitting if self._is_fed(group, k, any)]
            if not fed:
                continue
            group = self.group_of[k] = fed[0]
            for i in group:
                self.owner.setdefault(i, k)

    def _groups(self) -> list[list[int]]:
        """Nodes without a kernel: each function by itself, others with what they touch."""
        groups, seen = [], set(self.owner)
        for start in range(len(self.nodes)):
            if start in seen:
                continue
            group = [start]
            seen.add(start)
            for i in group:  # grows while it is read
                for other in () if self._is_body(i) else (*self.producers[i], *self.consumers[i]):
                    if other not in seen and not self._is_body(other):
                        seen.add(other)
                        group.append(other)
            groups.append(sorted(group))
        return groups

    def _is_body(self, i: int) -> bool:
        return "::" in self.nodes[i].operator

    def _may_run(self, group: list[int], k: int) -> bool:
        """A function body runs any operator; of other nodes several may be one fusion."""
        fusion = self.kernels[k].operator in FUSIONS and len(group) > 1
        if not (fusion or self._is_body(group[0])):
            return False
        return all(reader > k for reader in self._around(group, self.consumers))

    def _is_fed(self, group: list[int], k: int, how_many: Callable[[Iterable[bool]], bool]) -> bool:
        return how_many(feeder < k for feeder in self._around(group, self.producers))

    def _around(self, group: list[int], links: list[list[int]]) -> set[int]:
        """The nearest kernels outside a group, along ``links``."""
        found, waiting, seen = set(), list(group), set(group)
        for i in waiting:  # grows while it is read
            for other in links[i]:
                if other not in seen and other in self.owner:
                    found.add(self.owner[other])
                elif other not in seen:
                    seen.add(other)
                    waiting.append(other)
        return found

    def _claim_leftovers(self) -> None:
        for i in range(len(self.nodes)):
            if i not in self.owner:
                feeding = [
                    self.owner[source] for source in self.producers[i] if source in self.owner
                ]
                if feeding:
                    self.owner[i] = max(feeding)

    def _neighbour(self, k: int) -> int | None:
        """The kernel with a name that an inserted ``k`` serves."""
        kernel = self.kernels[k]
        if not _only_moves(kernel):
            return None
        after = range(k + 1, len(self.kernels))
        before = range(k - 1, -1, -1)
        order = (after, before) if "input" in kernel.name.lower() else (before, after)
        return next((j for side in order for j in side if j in self.claimed), None)


def _only_moves(kernel: Kernel) -> bool:
    return kernel.is_layout or kernel.operator in VIEW_OPERATORS


def _bare(operator: str) -> str:
    return operator.rpartition("::")[2]


def _matches(node: NodeFacts, operator: str) -> bool:
    """Conv is what Conv and FusedConv compute."""
    return operator.endswith(_bare(node.operator))
