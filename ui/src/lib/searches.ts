/*
 * Searches that are kept somewhere in the cluster: running ones, those in the background and saved
 * ones, of all webservers. The first four digits of an id say which webserver runs it.
 */

export interface KeptSearch {
  ID: string;
  UID: number;
  GIDs: number[] | null;
  Global: boolean;
  UserQuery: string;
  StartRange: string;
  EndRange: string;
  Started: string;
  /** As Go writes durations: 1m2.5s */
  Duration: string;
  ItemCount: number;
  StoreSize: number;
  Background: boolean;
  Finished: boolean;
  Name?: string;
  /** What it was saved with. */
  Metadata?: { name?: unknown } | null;
  Error?: string;
}

export interface SearchStatus {
  ID: string;
  State: string;
  AttachedClients: number;
}

export interface Webserver {
  ExternalAddr: string;
  SearchNumber: number;
  Up: boolean;
  Self: boolean;
}

export type SearchState = 'running' | 'background' | 'saved' | 'failed' | 'finished';

export const STATE_TEXT: Record<SearchState, string> = {
  running: 'Running',
  background: 'Running in the background',
  saved: 'Saved',
  failed: 'Failed',
  finished: 'Finished',
};

export function stateOf(search: KeptSearch, status: SearchStatus | undefined): SearchState {
  const flags = (status?.State ?? '').split('/');
  if (!search.Finished) {
    return search.Background ? 'background' : 'running';
  }
  if (search.Error) {
    return 'failed';
  }
  return flags.includes('SAVED') || flags.includes('SAVING') ? 'saved' : 'finished';
}

/** The name that somebody gave it; else empty. */
export function nameOf(search: KeptSearch): string {
  const saved = search.Metadata?.name;
  const name = typeof saved === 'string' && saved !== '' ? saved : (search.Name ?? '');
  return name === search.UserQuery ? '' : name;
}

export function whereOf(id: string, webservers: readonly Webserver[]): string {
  const at = webservers.find((one) => id.startsWith(String(one.SearchNumber)));
  return at === undefined ? 'an unknown webserver' : at.ExternalAddr.replace(/^https?:\/\//, '');
}

/** 1m2.534243s is 1m2.5s; 7.707452ms is 7.7ms. */
export function shortDuration(text: string): string {
  return text.replace(/(\d+\.\d)\d+/, '$1');
}
