import type { Access } from '../contenders/types.ts';
import type { Machine } from './machine.ts';
import type { RoundsSummary } from './stats.ts';

export type Row = {
  name: string;
  title: string;
  /** Undefined when it never started. */
  access: Access | undefined;
  /** By number of callers. */
  levels: Map<number, RoundsSummary>;
  /** Why it has no figures, or fewer rounds than the others. */
  failures: string[];
};

export type Report = { machine: Machine; rounds: number; rows: Row[] };

const BASES = [
  { name: 'dbos', label: '× DBOS' },
  { name: 'dbos-http', label: '× DBOS over HTTP' },
  { name: 'insert', label: '× INSERT' },
];

/** The whole report as Markdown: the machine, then one table for each number of callers. */
export function toMarkdown(report: Report): string {
  const callers = [...new Set(report.rows.flatMap((row) => [...row.levels.keys()]))];
  const failed = report.rows.filter((row) => row.failures.length > 0);
  return [
    describe(report.machine),
    `Medians of ${report.rounds} round(s).`,
    ...callers.map((count) => tableOf(report.rows, count)),
    ...failed.map((row) => `**${row.title}** failed: ${row.failures.join('; ')}`),
    '',
  ].join('\n\n');
}

function describe(machine: Machine): string {
  const versions = Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`);
  return [
    `- ${machine.cores} cores (${machine.cpu}), ${machine.memoryGiB} GiB, ${machine.system}`,
    `- 8 KiB written and on disk (fdatasync): ${machine.fdatasyncMs.toFixed(2)} ms, median`,
    `- ${versions.join(', ')}`,
  ].join('\n');
}

function tableOf(rows: readonly Row[], callers: number): string {
  const head = ['contender', 'reached by', 'calls/s', 'slowest – fastest', 'p50 ms', 'p99 ms'];
  const bases = BASES.map(({ name, label }) => ({ label, rate: rateOf(rows, name, callers) }));
  const columns = [...head, ...bases.map((base) => base.label)];
  const lines = rows.flatMap((row) => {
    const figures = row.levels.get(callers);
    if (figures === undefined) return [];
    const ratios = bases.map(({ rate }) => ratio(figures.perSecond, rate));
    return [line([row.title, row.access ?? '', ...cells(figures), ...ratios])];
  });
  const title = callers === 1 ? '### 1 caller' : `### ${callers} callers`;
  const rule = line(columns.map((_, i) => (i < 2 ? '---' : '---:')));
  return `${title}\n\n${[line(columns), rule, ...lines].join('\n')}`;
}

const line = (texts: string[]): string => `| ${texts.join(' | ')} |`;

const cells = (figures: RoundsSummary): string[] => [
  figures.perSecond.toFixed(0),
  `${figures.slowest.toFixed(0)} – ${figures.fastest.toFixed(0)}`,
  figures.p50.toFixed(2),
  figures.p99.toFixed(2),
];

const rateOf = (rows: readonly Row[], name: string, callers: number): number | undefined =>
  rows.find((row) => row.name === name)?.levels.get(callers)?.perSecond;

const ratio = (rate: number, base: number | undefined): string =>
  base === undefined ? '–' : (rate / base).toFixed(2);

/** The same as plain data, for `--json`. */
export const toJson = (report: Report): string =>
  JSON.stringify(
    {
      ...report,
      rows: report.rows.map((row) => ({ ...row, levels: Object.fromEntries(row.levels) })),
    },
    undefined,
    2,
  );
