/* The API's routes of dashboards, beside those of api.ts, and saved queries for their tiles. */
import type { ApiClient } from './api';
import { readBoard, writeBoard, type Draft } from './dashboard';
import type { Dashboard } from './types';

export interface SavedQuery {
  ThingUUID: string;
  GUID: string;
  Name: string;
  Description: string;
  Query: string;
}

/** What an edit changes of a dashboard, as it is stored. */
export type WireDraft = Pick<Dashboard, 'Name' | 'Description' | 'Labels' | 'Data'>;

export function draftOf(dashboard: WireDraft): Draft {
  return {
    name: dashboard.Name,
    description: dashboard.Description,
    labels: dashboard.Labels ?? [],
    board: readBoard(dashboard.Data),
  };
}

export function wireOf(draft: Draft): WireDraft {
  return {
    Name: draft.name,
    Description: draft.description,
    Labels: draft.labels,
    Data: writeBoard(draft.board),
  };
}

/** Replaces the version that `dashboard` is, or fails with status 409. */
export async function saveDashboard(
  api: ApiClient,
  dashboard: Dashboard,
  draft: Draft,
): Promise<Dashboard> {
  const body = { ...dashboard, ...wireOf(draft) };
  return (await api.change<Dashboard>('PUT', `/api/dashboards/${dashboard.ID}`, body)) ?? body;
}

/** Its number. The new one is the caller's own and shared with nobody. */
export async function addDashboard(api: ApiClient, draft: Draft): Promise<number> {
  const body = { ...wireOf(draft), UID: 0, GIDs: null, Global: false };
  return (await api.change<number>('POST', '/api/dashboards', body)) ?? 0;
}

export async function savedQueries(api: ApiClient): Promise<SavedQuery[]> {
  const all = (await api.get<SavedQuery[] | null>('/api/library')) ?? [];
  return all.sort((a, b) => a.Name.localeCompare(b.Name));
}

export interface Sharing {
  GIDs: number[] | null;
  Global: boolean;
  WriteAccess: { Global: boolean; GIDs: number[] | null };
}

/** Who else may see and change it; what it shows stays as it is. */
export async function shareDashboard(
  api: ApiClient,
  dashboard: Dashboard,
  sharing: Sharing,
): Promise<Dashboard> {
  const body = { ...dashboard, ...sharing };
  return (await api.change<Dashboard>('PUT', `/api/dashboards/${dashboard.ID}`, body)) ?? body;
}
