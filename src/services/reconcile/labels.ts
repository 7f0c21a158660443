/** The labels that are ours. Any other is a person's and is never touched. */
export type LabelNames = {
  inProgress: string;
  ready: string;
  done: string;
  /** With an agent's name behind it. */
  agentPrefix: string;
};

/**
 * What the labels of an issue are to say; `unclaimed` leaves the status to someone else, and
 * `reopened` leaves it to whoever has set one since.
 */
export type LabelGoal = 'in_progress' | 'ready' | 'done' | 'unclaimed' | 'reopened';

export type LabelPlan = { add: string[]; remove: string[] };

const key = (label: string) => label.toLowerCase();

export const agentLabel = (names: LabelNames, agentName: string): string =>
  names.agentPrefix + agentName;

/** The labels in lower case by which an agent's claim is told; one alone is only an assignment. */
export const claimKeys = (names: LabelNames, agentName: string): string[] => [
  key(names.inProgress),
  key(agentLabel(names, agentName)),
];

export const carries = (labels: string[], label: string): boolean =>
  labels.some((carried) => key(carried) === key(label));

export function carriesClaim(labels: string[], names: LabelNames, agentName: string): boolean {
  const carried = new Set(labels.map(key));
  return claimKeys(names, agentName).every((wanted) => carried.has(wanted));
}

/**
 * How to get from the labels that an issue carries to those that it should. Forges compare labels
 * without regard to case, so this does too. Nothing to do gives two empty lists.
 */
export function planLabels(
  labels: string[],
  goal: LabelGoal,
  names: LabelNames,
  agentName: string,
): LabelPlan {
  const inProgress = goal === 'reopened' && carries(labels, names.inProgress);
  const wanted = inProgress ? [] : wantedLabels(goal, names, agentName);
  const wantedKeys = new Set(wanted.map(key));
  const carried = new Set(labels.map(key));
  const ours = ourLabels(goal, names, agentName);
  return {
    add: wanted.filter((label) => !carried.has(key(label))),
    remove: labels.filter((label) => ours(key(label)) && !wantedKeys.has(key(label))),
  };
}

function wantedLabels(goal: LabelGoal, names: LabelNames, agentName: string): string[] {
  if (goal === 'in_progress') return [names.inProgress, agentLabel(names, agentName)];
  if (goal === 'ready' || goal === 'reopened') return [names.ready];
  if (goal === 'done') return [names.done];
  return [];
}

/** Which labels (in lower case) this goal may take away. */
function ourLabels(goal: LabelGoal, names: LabelNames, agentName: string) {
  const own = key(agentLabel(names, agentName));
  const prefix = key(names.agentPrefix);
  const status = new Set([names.inProgress, names.ready, names.done].map(key));
  return (label: string): boolean => {
    if (goal === 'unclaimed') return label === own;
    if (goal === 'reopened') return label === key(names.done);
    // Nobody works on what is done: there the labels of all agents go.
    if (goal === 'done' && label.startsWith(prefix)) return true;
    return label === own || status.has(label);
  };
}

/** The labels after a plan was carried out. */
export function applyPlan(labels: string[], { add, remove }: LabelPlan): string[] {
  return [...labels.filter((label) => !remove.includes(label)), ...add];
}
