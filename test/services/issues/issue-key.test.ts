import { expect, test } from 'vitest';
import { issueKey } from '../../../src/services/issues/issue-key.ts';

test.each([
  'https://github.com/acme/app/issues/4',
  'http://github.com/acme/app/issues/4',
  'https://www.github.com/Acme/App/issues/4/',
  'https://GitHub.com:443//ACME/app//issues/4//',
  'https://github.com/acme/app/issues/4#issuecomment-12',
  'https://github.com/acme/app/issues/4?notification_referrer_id=x&y=1#event-1',
  'https://github.com/acme/app/issues/004',
  'https://github.com/acme/app/pull/4',
  'https://github.com/acme/app/pull/4/files#diff-1',
  'https://github.com/acme/%61pp/issues/4',
  'https://api.github.com/repos/acme/app/issues/4',
  'https://api.github.com/repos/acme/app/issues/4/comments',
  ' https://github.com/acme/app/issues/4 ',
])('%s is the same issue', (url) => {
  expect(issueKey(url)).toBe('github.com/acme/app#4');
});

test.each([
  ['https://github.com/acme/app/issues/40', 'github.com/acme/app#40'],
  ['https://github.com/acme/app2/issues/4', 'github.com/acme/app2#4'],
  ['https://ghe.acme.test:8443/acme/app/issues/4', 'ghe.acme.test:8443/acme/app#4'],
  ['https://ghe.acme.test/api/v3/repos/acme/app/issues/4', 'ghe.acme.test/acme/app#4'],
  ['https://gitlab.com/group/sub/app/-/issues/4', 'gitlab.com/group/sub/app#4'],
  ['https://github.com/issues/app/issues/4', 'github.com/issues/app#4'],
  ['https://acme.atlassian.net/browse/ABC-1/', 'https://acme.atlassian.net/browse/abc-1'],
  ['https://bugs.test/show?id=4#c2', 'https://bugs.test/show?id=4'],
  ['https://bugs.test/#/issue/4', 'https://bugs.test#/issue/4'],
  ['https://github.com/acme/app/issues', 'https://github.com/acme/app/issues'],
  [
    'https://github.com/acme/app/issues/99999999999',
    'https://github.com/acme/app/issues/99999999999',
  ],
])('%s is %s', (url, key) => {
  expect(issueKey(url)).toBe(key);
});
