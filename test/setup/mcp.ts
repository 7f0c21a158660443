import {
  type CallToolResult,
  Client,
  StreamableHTTPClientTransport,
} from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { DEFIB } from '../../src/cli/frame/self.ts';
import type { Json } from './service.ts';

/** The protocol of 2025, which begins with a handshake, and that of 2026, which has none. */
export type Era = 'legacy' | 'auto';

export type McpClient = {
  client: Client;
  /** What a tool answered: data and text, or with `isError` the text of its refusal. */
  call(tool: string, args?: Record<string, unknown>): Promise<Called>;
  close(): Promise<void>;
};

export type Called = { isError: boolean; data: Json; text: string };

/** The official client, connected to `url`/mcp; with several, its requests go to each in turn. */
export async function connectHttp(
  url: string | string[],
  token: string | null,
  era: Era = 'legacy',
): Promise<McpClient> {
  const urls = [url].flat();
  let sent = 0;
  const headers: Record<string, string> =
    token === null ? {} : { Authorization: `Bearer ${token}` };
  const transport = new StreamableHTTPClientTransport(new URL('/mcp', urls[0]), {
    requestInit: { headers },
    fetch: (_, init) => fetch(new URL('/mcp', urls[sent++ % urls.length]), init),
  });
  return await connect(transport, era);
}

/** The official client, connected to a `defib mcp` of its own with this environment alone. */
export async function connectStdio(
  env: Record<string, string>,
  { args = [], cwd = '/', era = 'legacy' }: { args?: string[]; cwd?: string; era?: Era } = {},
): Promise<McpClient & { stderr(): string }> {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [DEFIB, 'mcp', ...args],
    env: { PATH: process.env['PATH'] ?? '', ...env },
    cwd,
    stderr: 'pipe',
  });
  let stderr = '';
  transport.stderr?.on('data', (chunk: Buffer) => void (stderr += chunk.toString()));
  const client = await connect(transport, era);
  return { ...client, stderr: () => stderr };
}

async function connect(
  transport: StdioClientTransport | StreamableHTTPClientTransport,
  era: Era,
): Promise<McpClient> {
  const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode: era } });
  await client.connect(transport);
  // It holds what tools answer to the schemas that were listed, once it has seen them.
  await client.listTools();
  return {
    client,
    call: async (name, args = {}) => {
      const {
        isError = false,
        structuredContent,
        content,
      } = (await client.callTool({
        name,
        arguments: args,
      })) as CallToolResult;
      const text = content.map((part) => (part.type === 'text' ? part.text : '')).join('\n');
      return { isError, data: structuredContent, text };
    },
    close: () => client.close(),
  };
}
