import { expect, it } from 'vitest';
import { fill, placeholderProblem } from '../../../src/services/spawners/placeholders.ts';

it.each([
  [['sh', '-c', 'echo "{prompt}"'], /inside another argument/],
  [['agent', '--prompt={prompt}'], /inside another argument/],
  [['agent', '{worktree}/run'], /inside another argument/],
  [['sh', '-c', '{prompt}'], /to an interpreter/],
  [['/bin/bash', '-lc', '{prompt}'], /to an interpreter/],
  [['sh', '-e', '-c', '{prompt}'], /to an interpreter/],
  [['env', 'bash', '-c', '--', '{prompt}'], /to an interpreter/],
  [['timeout', '60', 'zsh', '-c', '{prompt}', 'x'], /to an interpreter/],
  [['sh', '{promptFile}'], /to an interpreter/],
  [['python3', '-c', '{prompt}'], /to an interpreter/],
  [['node', '--eval', '{prompt}'], /to an interpreter/],
  [['env', '-c', 'x', 'sh', '{prompt}'], /to an interpreter/],
  [['{worktree}'], /must begin with a program/],
])('%j is refused, and the answer says what to do', (command, why) => {
  expect(placeholderProblem(command)).toMatch(why);
  expect(placeholderProblem(command)).toContain('"$1\\"", "--", "{prompt}"');
});

it.each([
  [['claude', '-c', '-p', '{prompt}']],
  [['claude', '-p', '{prompt}', '--permission-mode', 'acceptEdits']],
  [['codex', 'exec', '{prompt}']],
  [['sh', '-c', 'my-agent "$1"', '--', '{prompt}']],
  [['bash', '-lc', 'my-agent < "$1"', '--', '{promptFile}', '{worktree}']],
  [['/bin/sh', '-c', 'my-agent "$1"', 'sh', '{worktree}']],
  [['node', 'agent.ts', '{promptFile}', '{sessionId}']],
  [['agent', '{unknown}', 'a{b}c']],
])('%j is taken', (command) => {
  expect(placeholderProblem(command)).toBeUndefined();
});

it('braces in a prompt stay as they are', () => {
  const values = { prompt: '{worktree}', promptFile: 'f', worktree: 'w', sessionId: 's' };
  expect(['{prompt}', '{worktree}', 'x{prompt}'].map((part) => fill(part, values))).toEqual([
    '{worktree}',
    'w',
    'x{prompt}',
  ]);
});
