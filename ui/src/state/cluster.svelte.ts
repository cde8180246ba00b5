/*
 * What the parts of the cluster said last. The samples for the rates stay while another page is
 * shown, so that coming back does not begin with an empty chart.
 */
import {
  SAMPLES_MAX,
  tagSums,
  type Sample,
  type WireCluster,
  type WireIndexer,
  type WireWebserver,
} from '../lib/cluster';
import { repeat } from './attention';
import { session } from './session.svelte';

const INTERVAL_MS = 2500;

class ClusterWatch {
  cluster: WireCluster | null = $state.raw(null);
  webservers: WireWebserver[] = $state.raw([]);
  indexers: WireIndexer[] = $state.raw([]);
  samples: Sample[] = $state.raw([]);
  lookedAt = $state(0);
  error = $state('');

  constructor() {
    session.onLeave(() => {
      this.cluster = null;
      this.webservers = [];
      this.indexers = [];
      this.samples = [];
      this.lookedAt = 0;
    });
  }

  start(): () => void {
    return repeat(async (signal) => {
      try {
        await this.look(signal);
        this.error = '';
      } catch (reason) {
        if (!signal.aborted) {
          this.error = reason instanceof Error ? reason.message : String(reason);
        }
      }
      return INTERVAL_MS;
    });
  }

  private async look(signal: AbortSignal): Promise<void> {
    const api = session.api;
    const [cluster, webservers] = await Promise.all([
      api.get<WireCluster>('/api/cluster', signal),
      api.get<WireWebserver[]>('/api/webservers', signal),
    ]);
    const indexers = await Promise.all(
      cluster.Indexers.map((_, i) => api.get<WireIndexer>(`/api/cluster/indexers/${i}`, signal)),
    );
    this.cluster = cluster;
    this.webservers = webservers.sort((a, b) => a.ExternalAddr.localeCompare(b.ExternalAddr));
    this.indexers = indexers;
    this.lookedAt = Date.now();
    // What an absent indexer holds would look like a rate of nothing and then one of everything.
    if (indexers.every((indexer) => indexer.Up)) {
      const entries = new Map(tagSums(indexers).map((tag) => [tag.name, tag.entries]));
      this.samples = [...this.samples, { at: this.lookedAt, entries }].slice(-SAMPLES_MAX);
    }
  }
}

export const clusterWatch = new ClusterWatch();
