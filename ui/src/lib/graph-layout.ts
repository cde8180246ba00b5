/*
 * Where the nodes of a graph stand: those that are linked near each other, none on another. The
 * same graph looks the same each time. The picture is scaled to its place, so units mean nothing.
 */
import type { WireGraph } from './chart';

/** Pairs of nodes that are looked at, in all rounds: a fraction of a second. */
const PAIRS_MAX = 3e7;
const ROUNDS_MAX = 300;
const GOLDEN_ANGLE = Math.PI * (3 - Math.sqrt(5));
const GRAVITY = 0.1;
/** ECharts draws what is level by less than one as level: far from that. */
const UNIT = 1000;

export function placesOfNodes({ nodes, links }: Pick<WireGraph, 'nodes' | 'links'>): {
  x: Float64Array;
  y: Float64Array;
} {
  const count = nodes.length;
  const x = Float64Array.from(
    { length: count },
    (_, i) => Math.sqrt(i) * Math.cos(i * GOLDEN_ANGLE),
  );
  const y = Float64Array.from(
    { length: count },
    (_, i) => Math.sqrt(i) * Math.sin(i * GOLDEN_ANGLE),
  );
  const [pushX, pushY] = [new Float64Array(count), new Float64Array(count)];
  const ends = links.filter(({ source, target }) => source < count && target < count);
  const rounds = Math.min(ROUNDS_MAX, Math.floor(PAIRS_MAX / Math.max(1, count * count)));
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < count; i++) {
      pushX[i] = -GRAVITY * x[i]!;
      pushY[i] = -GRAVITY * y[i]!;
    }
    for (let i = 0; i < count; i++) {
      for (let j = 0; j < i; j++) {
        const [dx, dy] = [x[i]! - x[j]!, y[i]! - y[j]!];
        const away = 1 / Math.max(1e-6, dx * dx + dy * dy);
        pushX[i]! += dx * away;
        pushY[i]! += dy * away;
        pushX[j]! -= dx * away;
        pushY[j]! -= dy * away;
      }
    }
    for (const { source, target } of ends) {
      const [dx, dy] = [x[source]! - x[target]!, y[source]! - y[target]!];
      const near = 0.5 * Math.hypot(dx, dy);
      pushX[source]! -= dx * near;
      pushY[source]! -= dy * near;
      pushX[target]! += dx * near;
      pushY[target]! += dy * near;
    }
    // So far at most, and less each time: it comes to rest.
    const most = 0.5 * Math.sqrt(count) * (1 - round / rounds);
    for (let i = 0; i < count; i++) {
      const push = Math.max(1e-9, Math.hypot(pushX[i]!, pushY[i]!));
      x[i]! += (pushX[i]! / push) * Math.min(push, most);
      y[i]! += (pushY[i]! / push) * Math.min(push, most);
    }
  }
  return { x: x.map((one) => one * UNIT), y: y.map((one) => one * UNIT) };
}
