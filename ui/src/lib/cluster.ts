/*
 * The cluster as the page "Systems" shows it: what the webserver and the indexers say about
 * themselves, turned into parts, links, rates, and sentences about what is wrong and what to do.
 */
import type { WireChart } from './chart';
import { durationText, toRfc3339 } from './time';
import type { Settings } from './types';

export interface WireCluster {
  Datastores: string[];
  Indexers: string[];
}

export interface WireWebserver {
  UUID: string;
  ExternalAddr: string;
  Version: string;
  SeenMilliseconds: number;
  Up: boolean;
  Self: boolean;
}

export interface WireForwarder {
  name: string;
  target: string;
  node: string | null;
  state: string;
  lag_records?: number;
  lag_bytes?: number;
  lag_ns?: number;
  records_per_s?: number;
  bytes_per_s?: number;
  quarantined?: number;
  fault?: string;
  instead_of?: string | null;
  snapshot?: { on: boolean; looked_at: number; total: number };
}

export interface WireWell {
  name: string;
  entries: number;
  points?: number;
  bytes: number;
  disk_bytes: number;
  segments: number;
  partitions?: number;
  memtable_bytes?: number;
  corrupt_blocks: number;
  oldest: string | null;
  newest: string | null;
}

export interface WireIngester {
  client: string;
  conntype: string;
  name: string;
  version: string;
  uuid: string;
  since: string;
  entries: number;
  bytes: number;
}

export interface WireTag {
  name: string;
  well?: string;
  entries?: number;
  bytes?: number;
}

/** What `/api/cluster/indexers/{n}` answers; the last three are absent while it is away. */
export interface WireIndexer {
  Address: string;
  Up: boolean;
  Error: string;
  Info?: {
    id: string;
    version: string;
    started: string;
    takes_entries: boolean;
    reason: string;
  };
  Stats?: {
    storage: {
      log_bytes: number;
      corrupt: number;
      disk_free_bytes?: number;
      disk_bytes?: number;
    };
    replication: { forwarders?: WireForwarder[]; double_id?: boolean } | null;
    wells: WireWell[];
    connections: WireIngester[];
  };
  Tags?: { tags: WireTag[] };
}

/** What is known of a webserver: the datastore tells of the others, and only while it is there. */
export interface Known {
  look: 'ok' | 'warn' | 'idle';
  text: string;
}

export function webserverKnown(one: WireWebserver, datastore: Settings['Datastore']): Known {
  const seen = `last seen ${durationText(one.SeenMilliseconds)} ago`;
  if (one.Self || (one.Up && !datastore?.Degraded)) {
    return { look: 'ok', text: 'up' };
  }
  return datastore?.Degraded
    ? { look: 'idle', text: `not known without the datastore, ${seen}` }
    : { look: 'warn', text: seen };
}

export interface Link {
  from: string;
  to: string; /* the target indexer's address when it is one we know, else its name */
  known: boolean;
  forwarder: WireForwarder;
  health: Health;
}

export type Health = 'ok' | 'warn' | 'bad';

export interface Trouble {
  health: 'warn' | 'bad';
  what: string;
  advice: string;
}

/** A link may be so far behind before anybody needs to look at it. */
const LAG_WARN_NS = 60e9;

export function linkHealth(link: WireForwarder): Health {
  if (link.state === 'needs a snapshot' || (link.quarantined ?? 0) > 0) {
    return 'bad';
  }
  if (link.state === 'connecting') {
    return link.fault ? 'bad' : 'warn';
  }
  return (link.lag_ns ?? 0) > LAG_WARN_NS || link.state !== 'following' ? 'warn' : 'ok';
}

export function linksOf(indexers: WireIndexer[]): Link[] {
  const byNode = new Map(indexers.map((indexer) => [indexer.Info?.id ?? '', indexer.Address]));
  const host = (address: string) => address.slice(0, address.lastIndexOf(':'));
  return indexers.flatMap((indexer) =>
    (indexer.Stats?.replication?.forwarders ?? []).map((forwarder) => {
      let to = forwarder.node === null ? undefined : byNode.get(forwarder.node);
      if (to === undefined) {
        /* Whoever is away has not said its id: where it is says who it is, if that is clear. */
        const there = indexers.filter(
          (other) => other !== indexer && host(other.Address) === host(forwarder.target),
        );
        const away = there.filter((other) => !other.Up);
        const [only] = there.length === 1 ? there : away.length === 1 ? away : [];
        to = only?.Address;
      }
      return {
        from: indexer.Address,
        to: to ?? forwarder.name,
        known: to !== undefined,
        forwarder,
        health: linkHealth(forwarder),
      };
    }),
  );
}

/** Less of the disk than this is worth a look, or trouble: the wells' own limits come later. */
const DISK_WARN = 0.05;
const DISK_BAD = 0.02;

/** The share of its disk that is free; null when it does not say. */
export function diskFree(indexer: WireIndexer): number | null {
  const { disk_free_bytes: free, disk_bytes: all } = indexer.Stats?.storage ?? {};
  return free === undefined || !all ? null : free / all;
}

function diskTrouble(indexer: WireIndexer): Trouble | null {
  const share = diskFree(indexer);
  if (share === null || share >= DISK_WARN) {
    return null;
  }
  const left = bytesText(indexer.Stats?.storage.disk_free_bytes ?? 0);
  return {
    health: share < DISK_BAD ? 'bad' : 'warn',
    what: `The disk of the indexer ${indexer.Address} is almost full: ${left} are free.`,
    advice: 'Let its wells keep less (Hot-Duration, Max-Hot-Storage-GB), or give it more room.',
  };
}

export function indexerHealth(indexer: WireIndexer): Health {
  if (!indexer.Up || indexer.Info?.takes_entries === false) {
    return 'bad';
  }
  const disk = diskTrouble(indexer)?.health;
  if (disk) {
    return disk;
  }
  const damaged =
    (indexer.Stats?.storage.corrupt ?? 0) > 0 ||
    (indexer.Stats?.wells ?? []).some((well) => well.corrupt_blocks > 0);
  return damaged ? 'warn' : 'ok';
}

function linkTrouble(link: Link): Trouble | null {
  if (link.health === 'ok') {
    return null;
  }
  const { forwarder } = link;
  const what = `The link from ${link.from} to ${link.to}`;
  if (forwarder.state === 'needs a snapshot') {
    return {
      health: 'bad',
      what: `${what} can go on only with a snapshot.`,
      advice: 'It begins by itself once both are up; “aquifer datalog status” tells how it goes.',
    };
  }
  if ((forwarder.quarantined ?? 0) > 0) {
    return {
      health: 'bad',
      what: `${what} has set ${forwarder.quarantined} records aside.`,
      advice: 'Look at them with “aquifer datalog quarantine”; it also tries them once more.',
    };
  }
  if (forwarder.state === 'connecting') {
    return {
      health: link.health,
      what: `${what} has no connection${forwarder.fault ? `: ${forwarder.fault}` : ''}.`,
      advice: 'Nothing is lost: what is waiting is sent once the target answers. Start the target.',
    };
  }
  return {
    health: 'warn',
    what: `${what} is behind by ${durationText((forwarder.lag_ns ?? 0) / 1e6)} (${forwarder.state}).`,
    advice: 'It catches up by itself. If it does not, look at the network and the target’s disk.',
  };
}

function indexerTroubles(indexer: WireIndexer): Trouble[] {
  if (!indexer.Up) {
    return [
      {
        health: 'bad',
        what: `The indexer ${indexer.Address} does not answer: ${indexer.Error}`,
        advice: 'Searches lack what only it has. Start it: “systemctl start aquifer-indexer”.',
      },
    ];
  }
  const troubles: Trouble[] = [];
  if (indexer.Info?.takes_entries === false) {
    troubles.push({
      health: 'bad',
      what: `The indexer ${indexer.Address} takes no entries: ${indexer.Info.reason}`,
      advice: 'Mostly the disk is full: make room, or let the wells keep less. Then restart it.',
    });
  }
  if (indexer.Stats?.replication?.double_id) {
    troubles.push({
      health: 'bad',
      what: `Another indexer has the id of ${indexer.Address}.`,
      advice: 'Give one of them an Indexer-UUID of its own and restart it.',
    });
  }
  const disk = diskTrouble(indexer);
  if (disk) {
    troubles.push(disk);
  } else if (indexer.Info?.takes_entries !== false && indexerHealth(indexer) === 'warn') {
    troubles.push({
      health: 'warn',
      what: `The indexer ${indexer.Address} has found damaged data on its disk.`,
      advice:
        'Check the disk; “aquifer well verify” tells what is damaged; a replica can bring it back.',
    });
  }
  return troubles;
}

export function troublesOf(
  settings: Settings | null,
  webservers: WireWebserver[],
  indexers: WireIndexer[],
): Trouble[] {
  const troubles: Trouble[] = [];
  const datastore = settings?.Datastore;
  if (datastore?.Degraded) {
    troubles.push({
      health: 'bad',
      what: `The datastore ${datastore.Address ?? ''} cannot be reached: ${datastore.Reason ?? ''}`,
      advice:
        'Searching and ingesting go on. Start it again; until then accounts cannot be changed.',
    });
  }
  const isDown = (one: WireWebserver) => webserverKnown(one, datastore).look === 'warn';
  for (const webserver of webservers.filter(isDown)) {
    troubles.push({
      health: 'warn',
      what: `The webserver ${webserver.ExternalAddr} was last seen ${durationText(webserver.SeenMilliseconds)} ago.`,
      advice: 'The others do its work. Start it: “systemctl start aquifer-webserver”.',
    });
  }
  troubles.push(...indexers.flatMap(indexerTroubles));
  for (const link of linksOf(indexers)) {
    const trouble = linkTrouble(link);
    if (trouble) {
      troubles.push(trouble);
    }
  }
  const versions = new Set(
    [
      ...webservers.filter((one) => one.Up).map((one) => one.Version),
      ...indexers.map((one) => one.Info?.version ?? ''),
    ].filter((version) => version !== ''),
  );
  if (versions.size > 1) {
    troubles.push({
      health: 'warn',
      what: `Different versions run at the same time: ${[...versions].sort().join(', ')}.`,
      advice: 'That is fine during an update. Finish it: bring all to the newest.',
    });
  }
  return troubles.sort((a, b) => (a.health === b.health ? 0 : a.health === 'bad' ? -1 : 1));
}

export interface TagSum {
  name: string;
  entries: number;
  bytes: number;
}

/**
 * The most that any indexer has of each tag: with links between them they hold the same, and
 * adding would count twice what is there once.
 */
export function tagSums(indexers: WireIndexer[]): TagSum[] {
  const linked = linksOf(indexers).length > 0;
  const sums = new Map<string, TagSum>();
  for (const tag of indexers.flatMap((indexer) => indexer.Tags?.tags ?? [])) {
    const sum = sums.get(tag.name) ?? { name: tag.name, entries: 0, bytes: 0 };
    const add = (a: number, b = 0) => (linked ? Math.max(a, b) : a + b);
    sum.entries = add(sum.entries, tag.entries);
    sum.bytes = add(sum.bytes, tag.bytes);
    sums.set(tag.name, sum);
  }
  return [...sums.values()].sort((a, b) => b.entries - a.entries || a.name.localeCompare(b.name));
}

export interface Sample {
  at: number; /* ms */
  entries: Map<string, number>;
}

export const SAMPLES_MAX = 200;
const CHARTED_TAGS = 7;

/** Entries per second of the tags with the most of them, the rest as one. */
export function rateChart(samples: Sample[]): WireChart {
  const first = samples[0];
  const last = samples.at(-1);
  if (!first || !last || samples.length < 3) {
    /* One point makes no line, and no axis of time either. */
    return { Names: [], Values: [] };
  }
  const grown = (name: string, from: Sample, to: Sample) =>
    Math.max(0, (to.entries.get(name) ?? 0) - (from.entries.get(name) ?? 0));
  const names = [...last.entries.keys()]
    .map((name) => ({ name, count: grown(name, first, last) }))
    .filter(({ count }) => count > 0)
    .sort((a, b) => b.count - a.count)
    .map(({ name }) => name);
  const shown = names.slice(0, CHARTED_TAGS);
  const rest = names.slice(CHARTED_TAGS);
  const Values = samples.slice(1).map((sample, i) => {
    const before = samples[i] ?? first;
    const seconds = Math.max(0.001, (sample.at - before.at) / 1000);
    const rate = (list: string[]) =>
      list.reduce((sum, name) => sum + grown(name, before, sample), 0) / seconds;
    const Data = [...shown.map((name) => rate([name])), ...(rest.length > 0 ? [rate(rest)] : [])];
    return { TS: toRfc3339(sample.at), Data: Data.map((value) => Math.round(value * 10) / 10) };
  });
  return { Names: rest.length > 0 ? [...shown, `${rest.length} others`] : shown, Values };
}

/** 1536 as "1.5 KiB". */
export function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let unit = 0;
  let value = bytes;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
