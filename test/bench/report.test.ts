import { expect, test } from 'vitest';
import type { Row } from '../../bench/measure/report.ts';
import { toJson, toMarkdown } from '../../bench/measure/report.ts';

const machine = {
  cores: 2,
  cpu: 'Some CPU',
  memoryGiB: 8,
  system: 'linux x64',
  fdatasyncMs: 0.456,
  versions: { Node: '24.0.0' },
};

const figures = (perSecond: number) => ({
  calls: 10,
  perSecond,
  p50: 1.234,
  p99: 5,
  slowest: perSecond - 1,
  fastest: perSecond + 1,
  rounds: 3,
});

const row = (name: string, perSecond: number | undefined, failures: string[] = []): Row => ({
  name,
  title: `the ${name}`,
  access: 'in process',
  levels: new Map(perSecond === undefined ? [] : [[32, figures(perSecond)]]),
  failures,
});

test('one line for each contender, with ratios to the bases of the same run', () => {
  const text = toMarkdown({
    machine,
    rounds: 3,
    rows: [row('defib-redis', 900), row('dbos', 300), row('insert', 6000)],
  });
  expect(text).toContain('### 32 callers');
  expect(text).toContain(
    '| the defib-redis | in process | 900 | 899 – 901 | 1.23 | 5.00 | 3.00 | – | 0.15 |',
  );
  expect(text).toContain('- 2 cores (Some CPU), 8 GiB, linux x64');
  expect(text).toContain('0.46 ms');
});

test('a contender that failed is named with its reason, and has no line of figures', () => {
  const rows = [row('dbos', 300), row('restate', undefined, ['it did not start'])];
  const text = toMarkdown({ machine, rounds: 1, rows });
  expect(text).toContain('**the restate** failed: it did not start');
  expect(text).not.toContain('| the restate |');
});

test('the JSON holds the same figures by number of callers', () => {
  const json = toJson({ machine, rounds: 1, rows: [row('dbos', 300)] });
  expect(JSON.parse(json)).toMatchObject({
    machine: { cores: 2 },
    rows: [{ name: 'dbos', levels: { 32: { perSecond: 300, rounds: 3 } } }],
  });
});
