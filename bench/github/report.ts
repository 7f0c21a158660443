import type { LevelFigures } from './level.ts';

/** One more sync of each repository than there were windows is a matter of where they began. */
const SLACK = 1.5;

/** Whether requests to GitHub follow the number of agents, which they must not. */
export function growsWithAgents(levels: readonly LevelFigures[], repos: number): boolean {
  return levels.some((level) => level.perWindow > repos * SLACK);
}

export function toMarkdown(levels: readonly LevelFigures[]): string {
  const columns = [
    'agents',
    'requests, first heartbeats',
    'heartbeats, then',
    'requests per window',
    'requests per heartbeat',
    'heartbeats not ok',
  ];
  const rows = levels.map((level) => [
    String(level.agents),
    String(level.firstRequests),
    String(level.heartbeats),
    level.perWindow.toFixed(1),
    level.perHeartbeat.toFixed(4),
    String(level.notOk),
  ]);
  return [columns, columns.map(() => '---:'), ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}
