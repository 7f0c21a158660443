import type { CommandEntry } from './frame/entry.ts';

/**
 * Every command, in the order of the help. To add one: a file that exports `define`, and a line here.
 * Files are imported only when their command is called.
 */
export const COMMANDS: CommandEntry[] = [
  {
    name: 'up',
    summary: 'start the service on this machine',
    load: () => import('./up.ts'),
  },
  { name: 'down', summary: 'stop the service on this machine', load: () => import('./down.ts') },
  {
    name: 'status',
    summary: 'see who works, what waits and what needs you',
    load: () => import('./status.ts'),
  },
  {
    name: 'login',
    summary: 'keep the address of a service and a token',
    load: () => import('./login.ts'),
  },
  { name: 'logout', summary: 'forget what login keeps', load: () => import('./logout.ts') },
  {
    name: 'run',
    summary: 'run an agent with heartbeats, checkpoints and a time limit',
    load: () => import('./run.ts'),
  },
  {
    name: 'resume',
    summary: 'take up work that waits, here',
    load: () => import('./resume.ts'),
  },
  {
    name: 'attach',
    summary: 'watch an agent that a worker has started',
    load: () => import('./attach.ts'),
  },
  {
    name: 'restore',
    summary: 'make a worktree of what a session has saved',
    load: () => import('./restore.ts'),
  },
  {
    name: 'bring',
    summary: 'bring the result of a session into its repository',
    load: () => import('./bring.ts'),
  },
  { name: 'retry', summary: 'go on with work that has ended', load: () => import('./retry.ts') },
  {
    name: 'stop',
    summary: 'save and stop a session, to be resumed',
    load: () => import('./stop.ts'),
  },
  {
    name: 'cancel',
    summary: 'end work that lives or waits, for good',
    load: () => import('./cancel.ts'),
  },
  {
    name: 'dismiss',
    summary: 'take work off the list of what needs a person',
    load: () => import('./dismiss.ts'),
  },
  {
    name: 'worktrees',
    summary: 'list and remove worktrees of resumed sessions',
    load: () => import('./worktrees.ts'),
  },
  {
    name: 'sync',
    summary: 'send what was saved while the service was away',
    load: () => import('./sync.ts'),
  },
  {
    name: 'release',
    summary: 'migrate a shared database',
    load: () => import('./release.ts'),
  },
  {
    name: 'init',
    summary: 'make a coding agent call Defib',
    load: () => import('./init.ts'),
  },
  {
    name: 'hook',
    summary: 'what coding agents call',
    hidden: true,
    direct: () => import('./hook.ts'),
  },
  { name: 'mcp', summary: 'serve the tools of Defib to an agent', load: () => import('./mcp.ts') },
  {
    name: 'demo',
    summary: 'see heartbeat, time limit and resume happen',
    load: () => import('./demo.ts'),
  },
  { name: 'agents', summary: 'list, show and set up agents', load: () => import('./agents.ts') },
  { name: 'token', summary: 'issue, list and revoke tokens', load: () => import('./token.ts') },
  {
    name: 'repos',
    summary: 'list, track and untrack repositories',
    load: () => import('./repos.ts'),
  },
  { name: 'sessions', summary: 'list sessions', load: () => import('./sessions.ts') },
  { name: 'show', summary: 'show one session or run', load: () => import('./show.ts') },
  {
    name: 'checkpoints',
    summary: 'list the checkpoints of a session',
    load: () => import('./checkpoints.ts'),
  },
  {
    name: 'diff',
    summary: 'show what a session changed',
    load: () => import('./diff.ts'),
  },
  {
    name: 'logs',
    summary: 'list runs, or follow them as they happen',
    load: () => import('./logs.ts'),
  },
  {
    name: 'doctor',
    summary: 'find what is wrong, and how to fix it',
    load: () => import('./doctor.ts'),
  },
  {
    name: 'completion',
    summary: 'print a script for completion in your shell',
    load: () => import('./completion.ts'),
  },
];
