import type { Db } from '../db/connect.ts';
import { listHosts } from '../db/queries/worker-hosts.ts';

/** The hosts that have a worker now. */
export async function listWorkerHosts(db: Db): Promise<string[]> {
  return await listHosts(db);
}
