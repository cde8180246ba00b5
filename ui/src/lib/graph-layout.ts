/*
 * Where the nodes of a graph stand: those that are linked near each other, none on another. The
 * same graph looks the same each time, and is at rest when it is drawn, so that it can be scaled to
 * its place: the layout of ECharts is neither. Units mean nothing.
 */
import {
  forceCollide,
  forceLink,
  forceManyBody,
  forceSimulation,
  forceX,
  forceY,
  type SimulationNodeDatum,
} from 'd3-force';
import type { WireGraph } from './chart';

/** Nodes and links that are moved, in all rounds: a second of them at most. */
const WORK_MAX = 3e5;
const ROUNDS_MAX = 300;
/** ECharts draws what is level by less than one as level: far from that. */
const UNIT = 100;

export function placesOfNodes({ nodes, links }: Pick<WireGraph, 'nodes' | 'links'>): {
  x: number[];
  y: number[];
} {
  const places = nodes.map((): SimulationNodeDatum => ({}));
  const ends = links
    .filter(({ source, target }) => source < nodes.length && target < nodes.length)
    .map(({ source, target }) => ({ source, target }));
  const rounds = Math.min(ROUNDS_MAX, Math.ceil(WORK_MAX / (nodes.length + ends.length + 1)));
  forceSimulation(places)
    .force('apart', forceManyBody())
    .force('never on another', forceCollide(10))
    .force('linked', forceLink(ends))
    .force('middle', forceX().strength(0.05))
    .force('height', forceY().strength(0.05))
    .alphaDecay(1 - 0.001 ** (1 / rounds))
    .stop()
    .tick(rounds);
  return {
    x: places.map(({ x = 0 }) => x * UNIT),
    y: places.map(({ y = 0 }) => y * UNIT),
  };
}
