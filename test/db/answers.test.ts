import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, test } from 'vitest';
import { assertAnswers } from '../../src/db/answers.ts';
import { openPool } from '../../src/db/connect.ts';

/** PostgreSQL's ErrorResponse, which a pooler sends too. */
function errorResponse(fields: Record<string, string>): Buffer {
  const text = Object.entries(fields).map(([type, value]) => `${type}${value}\0`);
  const body = Buffer.from(`${text.join('')}\0`);
  const head = Buffer.alloc(5);
  head.write('E');
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

test('a pooler that refuses our settings is told apart, with what to do', async () => {
  const refusal = { S: 'FATAL', C: '08P01', M: 'unsupported startup parameter: options' };
  const pooler = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end(errorResponse(refusal)));
  });
  pooler.listen(0, '127.0.0.1');
  await once(pooler, 'listening');
  const url = `postgres://defib:secret@127.0.0.1:${(pooler.address() as AddressInfo).port}/defib`;
  const onError = () => undefined;
  const pool = openPool({ url, max: 1, applicationName: 'test', session: true, onError });
  try {
    const error = await assertAnswers(pool, url).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('DEFIB_DATABASE_POOLER=transaction'),
    });
    expect(String(error)).not.toContain('secret');
  } finally {
    await pool.end();
    pooler.close();
  }
});
