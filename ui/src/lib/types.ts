/*
 * What the webserver's API says, in the spelling of the wire.
 *
 * Only the members that this page reads are named. Every list may arrive as null or be absent:
 * the client in api.ts turns those into empty lists before anybody else sees them.
 */

export interface LoginAnswer {
  LoginStatus: boolean;
  Reason?: string;
  JWT?: string;
  MFARequired?: boolean;
}

export interface User {
  UID: number;
  User: string;
  Name: string;
  Email: string;
  Admin: boolean;
  Groups?: { GID: number; Name: string }[] | null;
  /** The password is still the one that every new installation has. */
  FirstPassword?: boolean;
}

export interface Settings {
  DistributedWebservers: boolean;
  IngestAllowed: boolean;
  ServerTime: string;
  /** Nobody need change the first account's password: a quickstart. */
  FirstPasswordMayStay?: boolean;
  /** Absent on servers that do not say. */
  /** host:port of indexers that take lines. */
  IngestTargets?: string[];
  Datastore?: {
    State: string;
    Degraded: boolean;
    Address?: string;
    Reason?: string;
    /** Objects that wait to be pushed. */
    Unsynced?: number;
  };
}

/**
 * The answer to `POST /api/parse`. `ErrorOffset` and `ErrorLength` count bytes of UTF-8, not
 * characters.
 */
export interface ParseAnswer {
  GoodQuery: boolean;
  ParseError?: string;
  ErrorOffset?: number;
  ErrorLength?: number;
  ErrorStage?: number;
  ParsedQuery?: string;
  RawQuery?: string;
  RenderModule?: string;
  Tags: string[];
}

export interface SearchInfo {
  StartRange: string;
  EndRange: string;
  /** What the renderer can be downloaded as. */
  RenderDownloadFormats?: string[] | null;
  /** The result is one for the whole range: it has no counts by time. */
  TimeZoomDisabled?: boolean;
}

export interface LaunchAnswer {
  SearchID: string;
  SearchSessionID: string;
  RefreshInterval: number;
  RenderModule: string;
  Info: SearchInfo;
  Messages: Message[];
}

export type Severity = 'info' | 'warn' | 'error' | 'fatal';

export interface Message {
  ID: number;
  Severity: Severity;
  Value: string;
}

export interface OverviewBucket {
  Count: number;
  Bytes: number;
  TS: string;
}

export interface Overview {
  SearchPosition?: string;
  Finished: boolean;
  OverLimit: boolean;
  EntryCountValid: boolean;
  EntryCount: number;
  Stats: OverviewBucket[];
  Error?: string;
  Messages: Message[];
}

export interface WireEntry {
  TS: string;
  SRC: string;
  Tag: number;
  Data: string;
  /** A packet in words, of the renderer `pcap`. */
  Text?: string;
  Enumerated?: { Name: string; ValueStr: string }[] | null;
}

export interface WirePage {
  Finished: boolean;
  EntryCount: number;
  EntryCountValid: boolean;
  AdditionalEntries: boolean;
  OverLimit: boolean;
  Warning: string;
  Error?: string;
  Tags: Record<string, number>;
  Entries: WireEntry[];
  Messages: Message[];
}

/** What the renderer `table` answers. */
export interface WireTable {
  Columns: string[];
  Rows: { TS: string; Row: string[] }[];
}

export interface HistoryItem {
  UserQuery: string;
  EffectiveQuery: string;
  Launched: string;
  Synced: boolean;
}

/** The part of a dashboard's `Data` that this page writes; other members are kept as they are. */
export interface DashboardData {
  searches?: { alias: string; query: string }[];
  tiles?: { id: number; title: string; renderer: string; searchesIndex: number }[];
  timeframe?: { durationString?: string; timeframe?: string; start?: string; end?: string };
  version?: number;
}

export interface Dashboard {
  ID: number;
  ThingUUID: string;
  Name: string;
  Description: string;
  UID: number;
  GIDs: number[] | null;
  Global: boolean;
  WriteAccess: { Global: boolean; GIDs: number[] | null };
  Labels: string[] | null;
  Created: string;
  Updated: string;
  /** Names the version; sent back, it makes an edit of an older one fail with 409. */
  Change?: string;
  /** In the answer to an edit: somebody else's stays, this one was kept as a copy beside it. */
  CopiedBeside?: boolean;
  /** What the asker may do; absent on servers that do not say. */
  Can?: { Delete: boolean; Modify: boolean; Share: boolean };
  Data: DashboardData;
  Synced: boolean;
}

export interface StartRequest {
  SearchString: string;
  SearchStart: string;
  SearchEnd: string;
  Background: boolean;
  /** Not what is stored, but what arrives from now on. */
  Follow?: boolean;
  NoHistory?: boolean;
  LaunchInfo: { method: string };
}
