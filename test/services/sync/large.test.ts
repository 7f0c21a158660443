import { expect, test } from 'vitest';
import { setStage } from '../../setup/github/stage.ts';

test('10,000 issues are stored whole, and the next sync asks once', async () => {
  // Unchecked: holding each of them to the description takes longer than the sync.
  const stage = await setStage({ fake: { checked: false }, settings: { waitMs: 60_000 } });
  stage.fake.repo('acme/large', { issues: 10_000 });
  stage.fake.clock.advance(3_600_000);
  const agent = await stage.agent('builder', 'acme/large');
  expect(await stage.sync(agent)).toEqual({ warnings: [], synced: 1 });
  expect(await stage.db.selectFrom('issues').select('id').execute()).toHaveLength(10_000);
  expect(stage.fake.requests).toHaveLength(101);
  await stage.age('acme/large', 120);
  await stage.sync(agent);
  expect(stage.fake.requests).toHaveLength(102);
  await stage.close();
});
