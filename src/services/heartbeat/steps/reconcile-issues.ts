import { reconcileIssues as reconcile } from '../../reconcile/reconcile-issues.ts';
import { plural } from '../../plural.ts';
import { loadedAgent, type Step } from '../step.ts';

/** Brings the agent's claims, the stored issues and their labels into line. */
export const reconcileIssues: Step = {
  name: 'reconcile issues',
  level: 'best-effort',
  timeoutMs: 10_000,
  run: async (pass, signal) => {
    const agent = loadedAgent(pass);
    if (!agent.tracks_repos && !agent.has_claims && !agent.has_sessions) {
      return { skipped: true };
    }
    const report = await reconcile(pass.deps.reconcile, agent, { signal });
    const { warnings, touchedIssueUrls, adopted, released, labelled } = report;
    const done = [
      adopted > 0 && `adopted ${plural(adopted, 'claim')}`,
      released > 0 && `released ${plural(released, 'claim')}`,
      labelled > 0 && `labelled ${plural(labelled, 'issue')}`,
    ].filter((part) => part !== false);
    return { warnings, touchedIssueUrls, ...(done.length > 0 && { summary: done.join(', ') }) };
  },
};
