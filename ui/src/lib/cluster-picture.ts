/*
 * The whole cluster as a drawing: who lets people in and keeps what they make above, the webservers
 * in the middle, the indexers below, and under them the datalog links, as arcs. What is on a row
 * talks with all of the row below: one bar between the rows says that for any number of them.
 */
import {
  indexerHealth,
  webserverKnown,
  type Health,
  type Link,
  type WireIndexer,
  type WireWebserver,
} from './cluster';
import type { Settings } from './types';

export type Look = Health | 'idle';

export interface Part {
  kind: 'Load balancer' | 'Datastore' | 'Webserver' | 'Indexer';
  name: string;
  look: Look;
  /** What else is to be said of it, in a word or two. */
  note: string;
}

export interface Box extends Part {
  /** Its middle. */
  x: number;
  y: number;
}

export interface Line {
  key: string;
  path: string;
  look: Look;
}

export interface Arc extends Line {
  moving: boolean;
}

export interface Picture {
  width: number;
  height: number;
  boxes: Box[];
  lines: Line[];
  arcs: Arc[];
}

export const BOX = { w: 156, h: 44 };
const GAP = 18;
const ROW = 84; /* from the middle of a row to that of the next */
const EDGE = 3;
const NAME_CHARACTERS = 17;

export interface Cluster {
  /** The address of the load balancer that the page came through; empty: none. */
  balancer: string;
  datastores: string[];
  datastore: Settings['Datastore'] | undefined;
  webservers: WireWebserver[];
  indexers: WireIndexer[];
  links: Link[];
}

function rowsOf(cluster: Cluster): Part[][] {
  const { balancer, datastore } = cluster;
  const top: Part[] = balancer
    ? [{ kind: 'Load balancer', name: balancer, look: 'ok', note: '' }]
    : [];
  for (const name of cluster.datastores) {
    const here = datastore?.Address === name;
    const look = here ? (datastore.Degraded ? 'bad' : 'ok') : 'idle';
    top.push({ kind: 'Datastore', name, look, note: look === 'bad' ? 'away' : '' });
  }
  return [
    top,
    cluster.webservers.map((one) => {
      const { look } = webserverKnown(one, datastore);
      const away = look === 'idle' ? 'unknown' : 'away';
      return {
        kind: 'Webserver',
        name: one.ExternalAddr,
        look,
        note: look !== 'ok' ? away : one.Self ? 'yours' : '',
      };
    }),
    cluster.indexers.map((one) => ({
      kind: 'Indexer',
      name: one.Address,
      look: indexerHealth(one),
      note: one.Up ? '' : 'away',
    })),
  ];
}

export function drawingOf(cluster: Cluster): Picture {
  const rows = rowsOf(cluster).filter((row) => row.length > 0);
  const widest = Math.max(0, ...rows.map((row) => row.length));
  const width = Math.max(2, widest) * (BOX.w + GAP) - GAP + 2 * EDGE;
  const placed = rows.map((row, r) =>
    row.map((part, i) => ({
      ...part,
      x: width / 2 + (i - (row.length - 1) / 2) * (BOX.w + GAP),
      y: EDGE + BOX.h / 2 + r * ROW,
    })),
  );
  const arcs = arcsOf(placed.flat(), cluster.links);
  const deepest = Math.max(0, ...arcs.map((arc) => arc.depth));
  return {
    width,
    height: (rows.length - 1) * ROW + BOX.h + 2 * EDGE + (deepest > 0 ? 0.75 * deepest + 3 : 0),
    boxes: placed.flat(),
    lines: placed.slice(1).flatMap((row, r) => barOf(placed[r] ?? [], row)),
    arcs,
  };
}

/** From each box above to the bar, the bar, and from it to each box below. */
function barOf(above: Box[], below: Box[]): Line[] {
  const y = ((above[0]?.y ?? 0) + (below[0]?.y ?? 0)) / 2;
  const xs = [...above, ...below].map((box) => box.x);
  const upright = (box: Box, edge: number): Line => ({
    key: `${box.kind} ${box.name}`,
    path: `M${box.x} ${edge}V${y}`,
    look: box.note === 'away' ? 'bad' : box.look === 'idle' ? 'idle' : 'ok',
  });
  return [
    ...above.map((box) => upright(box, box.y + BOX.h / 2)),
    ...below.map((box) => upright(box, box.y - BOX.h / 2)),
    { key: `bar ${y}`, path: `M${Math.min(...xs)} ${y}H${Math.max(...xs)}`, look: 'ok' },
  ];
}

/** Arcs to the left go around those to the right between the same two. */
function arcsOf(boxes: Box[], links: Link[]): (Arc & { depth: number })[] {
  const indexers = boxes.filter((box) => box.kind === 'Indexer');
  const find = (name: string) => indexers.find((box) => box.name === name);
  return links.flatMap((link) => {
    const [from, to] = [find(link.from), find(link.to)];
    if (!link.known || !from || !to || from === to) {
      return [];
    }
    const right = to.x > from.x;
    const apart = Math.abs(to.x - from.x) / (BOX.w + GAP);
    const depth = 12 + 16 * apart + (right ? 0 : 16);
    const y = from.y + BOX.h / 2;
    const [x1, x2] = right ? [from.x + 42, to.x - 42] : [from.x - 16, to.x + 16];
    return [
      {
        key: `${link.from} ${link.to} ${link.forwarder.name}`,
        path: `M${x1} ${y}C${x1} ${y + depth} ${x2} ${y + depth} ${x2} ${y + 2}`,
        look: link.health,
        moving: (link.forwarder.records_per_s ?? 0) > 0,
        depth,
      },
    ];
  });
}

/** A name as it fits its box: the end tells hosts of a kind apart, and their ports. */
export function boxName(name: string): string {
  const keep = NAME_CHARACTERS - 1;
  const tail = Math.floor(keep / 2);
  return name.length <= NAME_CHARACTERS
    ? name
    : `${name.slice(0, keep - tail)}…${name.slice(-tail)}`;
}

/** The same in words, for who cannot see it. */
export function drawingText({ boxes, arcs }: Picture): string {
  const kinds = [...new Set(boxes.map((box) => box.kind))].map((kind) => {
    const count = boxes.filter((box) => box.kind === kind).length;
    return `${count} ${kind.toLowerCase()}${count === 1 ? '' : 's'}`;
  });
  const away = boxes.filter((box) => box.note === 'away').map((box) => `${box.name} is away`);
  const links = `${arcs.length} links between indexers`;
  return [...kinds, links, ...away].join(', ');
}
