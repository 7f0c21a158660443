import { directSessions } from '../../../db/queries/session-directives.ts';
import { readSessionNews } from '../../../db/queries/sessions.ts';
import { plural } from '../../plural.ts';
import { loadedAgent, type Step } from '../step.ts';

/** Tells sessions what the issues' state asks of them, and reports what became of sessions. */
export const reconcileSessions: Step = {
  name: 'reconcile sessions',
  level: 'best-effort',
  timeoutMs: 5000,
  run: async (pass) => {
    const agent = loadedAgent(pass);
    if (!agent.has_sessions) return { skipped: true };
    const { db } = pass.deps;
    const directed = await directSessions(db, agent.id);
    const news = await readSessionNews(db, agent.id);
    const done = [
      news.timedOut > 0 && `${plural(news.timedOut, 'session')} timed out`,
      news.resumed > 0 && `${plural(news.resumed, 'session')} resumed`,
    ].filter((part) => part !== false);
    return {
      directives: directed.flatMap(({ id, directive }) =>
        directive ? [{ ...directive, sessionId: id }] : [],
      ),
      touchedIssueUrls: directed.flatMap(({ fresh, issueUrl }) =>
        fresh && issueUrl ? [issueUrl] : [],
      ),
      warnings: news.needsAttention.map(
        (id) =>
          `reconcile sessions: session ${id} needs attention: it is not resumed any more. See GET /api/sessions/${id}.`,
      ),
      ...(done.length > 0 && { summary: done.join(', ') }),
    };
  },
};
