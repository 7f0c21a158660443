import { AppError } from '../../../errors.ts';
import type { Step } from '../step.ts';

/** Reads the agent's policy. Critical: nothing can be done for an agent that is gone. */
export const loadAgent: Step = {
  name: 'load agent',
  level: 'critical',
  timeoutMs: 5000,
  run: async (pass) => {
    pass.agent = await pass.deps.findAgent(pass.run.agent_id);
    if (!pass.agent) {
      throw new AppError(
        'not_found',
        `the agent "${pass.run.agent_name}" was deleted. Create it again (PUT /api/agents/${pass.run.agent_name}) or stop calling.`,
      );
    }
    return {};
  },
};
