import type { Db } from '../../db/connect.ts';
import type { Log } from '../../log.ts';
import type { Forge } from '../forge/forge.ts';
import type { Flights } from './flights.ts';

export type SyncSettings = {
  /** A repository is synced once in this time, however many agents ask. */
  freshnessSeconds: number;
  /** Every so often all issues are listed, to notice those that vanished. */
  fullPassSeconds: number;
  /** How far a listing reaches back behind the last one, on the forge's clock. */
  overlapSeconds: number;
  /** How long a silent holder keeps others out. Longer than one page may take. */
  leaseSeconds: number;
  /** First wait after a failure; each further one in a row doubles it. */
  backoffSeconds: number;
  maxBackoffSeconds: number;
  /** Longest that a heartbeat waits for syncs before it goes on with what is stored. */
  waitMs: number;
  /** How often a heartbeat that waits for another process looks. */
  pollMs: number;
  /** Longest that a sync keeps its place before others get theirs; longer than one request takes. */
  sliceMs: number;
  /** The same for one among those that failed or were cut off before. */
  passTimeoutMs: number;
  /** Most issues that one full pass looks up one by one because its listing lacked them. */
  vanishChecks: number;
};

export const defaultSyncSettings: SyncSettings = {
  freshnessSeconds: 60,
  fullPassSeconds: 86_400,
  overlapSeconds: 300,
  leaseSeconds: 45,
  backoffSeconds: 30,
  maxBackoffSeconds: 300,
  waitMs: 5000,
  pollMs: 200,
  sliceMs: 12_000,
  passTimeoutMs: 60_000,
  vanishChecks: 50,
};

export type SyncDeps = {
  db: Db;
  forge: Forge;
  log: Log;
  flights: Flights;
  /** Names this process as the holder of leases. */
  instance: string;
  settings: SyncSettings;
};
