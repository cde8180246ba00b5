import { describe, expect, it } from 'vitest';
import { placesOfNodes } from './graph-layout';

const nodesOf = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ name: `n${i}`, group: 0 }));
const link = (source: number, target: number) => ({ source, target, value: 1 });

describe('the nodes of a graph', () => {
  it('stand apart, those that are linked nearer than others', () => {
    // Two stars of six, and a line between their middles.
    const links = [0, 6].flatMap((middle) => [1, 2, 3, 4, 5].map((i) => link(middle, middle + i)));
    const graph = { nodes: nodesOf(12), links: [...links, link(0, 6)] };
    const { x, y } = placesOfNodes(graph);
    const apart = (a: number, b: number) => Math.hypot(x[a]! - x[b]!, y[a]! - y[b]!);
    const all = graph.nodes.flatMap((_, a) => graph.nodes.slice(0, a).map((_, b) => apart(a, b)));
    expect(Math.min(...all)).toBeGreaterThan(Math.max(...all) / 20);
    for (let i = 1; i < 6; i++) {
      expect(apart(0, i)).toBeLessThan(apart(6, i));
      expect(apart(6, 6 + i)).toBeLessThan(apart(0, 6 + i));
    }
    expect(Math.min(...all)).toBeGreaterThan(100); /* what is less, ECharts rounds away */
    expect(placesOfNodes(graph)).toEqual({ x, y });
  });

  it('have a place each, whatever the graph', () => {
    for (const [count, links] of [
      [0, []],
      [1, [link(0, 0)]],
      [2, [link(0, 1), link(1, 0), link(1, 7)]],
      [500, [link(0, 499)]],
    ] as const) {
      const { x, y } = placesOfNodes({ nodes: nodesOf(count), links: [...links] });
      expect([...x, ...y].every(Number.isFinite)).toBe(true);
      expect(new Set([...x].map((one, i) => `${one} ${y[i]}`)).size).toBe(count);
    }
  });
});
