import { runCase } from './cases.ts';

/* Long mode: node test/services/git/second/run.ts [first seed] [cases] */
const first = Number(process.argv[2] ?? 1);
const cases = Number(process.argv[3] ?? process.env['DEFIB_SECOND_CASES'] ?? 10);
const reasons = new Map<string, number>();
let bad = 0;
for (let seed = first; seed < first + cases; seed += 1) {
  const outcome = await runCase(seed);
  for (const reason of outcome.reasons) {
    const short = reason.replaceAll(/\d+/g, 'N');
    reasons.set(short, (reasons.get(short) ?? 0) + 1);
  }
  if (process.env['DEFIB_SECOND_TRACE']) console.log(seed, outcome.log.join(' '));
  if (outcome.problems.length === 0) continue;
  bad += 1;
  console.log(`seed ${seed}: ${outcome.log.join(' ')}`);
  for (const row of outcome.problems.slice(0, 14)) console.log(`  ${row.slice(0, 600)}`);
}
console.log(
  `${cases} cases from seed ${first}, ${bad} with differences`,
  Object.fromEntries(reasons),
);
