import type { Caller } from './tool.ts';

const BEGIN = [
  'Begin with `claim`: if work of an agent that died waits, go on with that, from the continuation it returns. Otherwise `start_session` with your objective. Then call `heartbeat`.',
];

/** How a model is to use the tools together. Short: agents put it into every conversation. */
export function instructions({ agent }: Caller): string {
  return [
    'Defib keeps your work alive: if you are cut off, another agent goes on from your last checkpoint with what you wrote there.',
    ...(agent ? BEGIN : ['You work in a session that is already open.']),
    '`heartbeat`: between steps, within the seconds that the last reply names, and before anything that takes long. Obey the directives in the reply: on "cancel" or "stop", stop working and call `finish`.',
    '`checkpoint`: when you have a plan, after every milestone, and before any call that is slow, risky or cannot be repeated (push, deploy, migration). List that call in pendingToolCalls: if you die in it, your successor verifies what it did instead of repeating it.',
    '`finish`: once, when the work is done or given up. Nothing is resumed after that.',
    'When a tool says session_ended or session_superseded, stop changing files. When Defib cannot be reached, go on working and try again later.',
  ].join('\n');
}
