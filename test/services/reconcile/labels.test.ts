import { describe, expect, test } from 'vitest';
import {
  applyPlan,
  carriesClaim,
  claimKeys,
  type LabelGoal,
  planLabels,
} from '../../../src/services/reconcile/labels.ts';
import { defaultReconcileSettings } from '../../../src/services/reconcile/settings.ts';

const names = defaultReconcileSettings.labels;
const plan = (labels: string[], goal: LabelGoal) => planLabels(labels, goal, names, 'builder');

describe('planLabels', () => {
  test.each<[LabelGoal, string[], string[], string[]]>([
    ['in_progress', ['bug'], ['status/in-progress', 'agent/builder'], []],
    ['in_progress', ['status/ready'], ['status/in-progress', 'agent/builder'], ['status/ready']],
    ['in_progress', ['agent/builder', 'status/done'], ['status/in-progress'], ['status/done']],
    ['in_progress', ['status/in-progress', 'agent/builder', 'bug'], [], []],
    [
      'ready',
      ['status/in-progress', 'agent/builder', 'bug'],
      ['status/ready'],
      ['status/in-progress', 'agent/builder'],
    ],
    ['ready', ['status/ready', 'bug'], [], []],
    ['ready', [], ['status/ready'], []],
    [
      'done',
      ['status/in-progress', 'agent/builder', 'bug'],
      ['status/done'],
      ['status/in-progress', 'agent/builder'],
    ],
    ['done', ['status/done'], [], []],
    ['unclaimed', ['status/in-progress', 'agent/builder', 'agent/other'], [], ['agent/builder']],
    ['unclaimed', ['status/in-progress', 'agent/other'], [], []],
  ])('%s from %j', (goal, labels, add, remove) => {
    expect(plan(labels, goal)).toEqual({ add, remove });
  });

  test('the label of another agent stays, until the issue is done', () => {
    const labels = ['agent/other', 'status/in-progress'];
    expect(plan(labels, 'in_progress').remove).toEqual([]);
    expect(plan(labels, 'ready').remove).toEqual(['status/in-progress']);
    expect(plan(labels, 'done').remove).toEqual(['agent/other', 'status/in-progress']);
  });

  test('letter case makes no label another one, and is kept where it is removed', () => {
    const labels = ['Status/In-Progress', 'AGENT/Builder'];
    expect(plan(labels, 'in_progress')).toEqual({ add: [], remove: [] });
    expect(plan(labels, 'ready').remove).toEqual(labels);
  });

  test("a label that only begins like ours is a person's", () => {
    const labels = ['status/in-progress-maybe', 'agent/builder-2', 'agents', 'status/blocked'];
    expect(plan(labels, 'ready').remove).toEqual([]);
  });

  test('carried out, there is nothing left to do', () => {
    const start = ['bug', 'status/ready', 'Agent/Builder', 'status/done'];
    for (const goal of ['in_progress', 'ready', 'done', 'unclaimed'] as const) {
      const after = applyPlan(start, plan(start, goal));
      expect(plan(after, goal)).toEqual({ add: [], remove: [] });
      expect(after).toContain('bug');
    }
  });

  test('names are configurable', () => {
    const other = { inProgress: 'doing', ready: 'todo', done: 'shipped', agentPrefix: 'bot:' };
    expect(planLabels(['todo', 'status/ready'], 'in_progress', other, 'x')).toEqual({
      add: ['doing', 'bot:x'],
      remove: ['todo'],
    });
  });
});

test('a claim is both labels; one alone is only an assignment', () => {
  expect(carriesClaim(['agent/builder', 'bug'], names, 'builder')).toBe(false);
  expect(carriesClaim(['status/in-progress'], names, 'builder')).toBe(false);
  expect(carriesClaim(['STATUS/in-progress', 'agent/Builder'], names, 'builder')).toBe(true);
  expect(claimKeys(names, 'Builder')).toEqual(['status/in-progress', 'agent/builder']);
});
