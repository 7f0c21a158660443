import type { OperatorAccess } from './services/tokens/bootstrap.ts';

/** What a person sees when the service is up: where it listens, how to get in, and a first call. */
export function welcome(options: {
  url: string;
  access: OperatorAccess;
  agentName: string;
  dataDir: string;
}): string {
  const { url, access, agentName, dataDir } = options;
  return `
Defib listens on ${url}
  API docs   ${url}/docs
  Queues     ${url}/admin/queues  (any user name, the operator token as password)
  Data       ${dataDir}

Operator token: ${describe(access)}

Try a heartbeat:
  curl -X POST -H "Authorization: Bearer ${tokenForShell(access)}" ${url}/api/agents/${agentName}/heartbeat

`;
}

function describe(access: OperatorAccess): string {
  switch (access.from) {
    case 'created':
      return `${access.token}\n  (shown this once; kept in ${access.path})`;
    case 'file':
      return `in ${access.path}`;
    case 'environment':
      return 'the value of DEFIB_OPERATOR_TOKEN';
    case 'elsewhere':
      return 'issued before; if it is lost, set DEFIB_OPERATOR_TOKEN and start again';
  }
}

function tokenForShell(access: OperatorAccess): string {
  switch (access.from) {
    case 'created':
      return access.token;
    case 'file':
      return `$(sed -n 's/.*"operatorToken": "\\(.*\\)".*/\\1/p' '${access.path}')`;
    case 'environment':
      return '$DEFIB_OPERATOR_TOKEN';
    case 'elsewhere':
      return '<operator token>';
  }
}
