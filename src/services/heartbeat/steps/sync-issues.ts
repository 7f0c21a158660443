import { listAgentSyncStates } from '../../../db/queries/repo-sync.ts';
import { syncRepos } from '../../sync/sync-repos.ts';
import { plural } from '../../plural.ts';
import { loadedAgent, type Step } from '../step.ts';

/** Brings what is stored of the agent's repositories up to date with the forge. */
export const syncIssues: Step = {
  name: 'sync issues',
  level: 'best-effort',
  timeoutMs: 10_000,
  run: async (pass, signal) => {
    const agent = loadedAgent(pass);
    if (!agent.tracks_repos) return { skipped: true };
    const { sync } = pass.deps;
    const repos = await listAgentSyncStates(sync.db, agent.id, sync.settings);
    const { warnings, synced } = await syncRepos(sync, repos, { signal, onWait: pass.onWait });
    const all = plural(repos.length, 'repository');
    const summary = synced === repos.length ? all : `${synced} of ${all}`;
    return { warnings, summary: `${summary} in sync` };
  },
};
